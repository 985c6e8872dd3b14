"""`python -m gateway [run|migrate|check]`."""

from pathlib import Path

from gateway.app import run
from gateway.settings import Settings
from shared.service import main

if __name__ == "__main__":
    main("gateway", Path(__file__).parent, Settings, run)
