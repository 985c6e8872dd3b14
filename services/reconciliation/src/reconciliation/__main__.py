"""`python -m reconciliation [run|migrate|check]`."""

from pathlib import Path

from reconciliation.app import run
from reconciliation.settings import Settings
from shared.service import main

if __name__ == "__main__":
    main("reconciliation", Path(__file__).parent, Settings, run)
