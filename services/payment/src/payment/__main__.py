"""`python -m payment [run|migrate|check]`."""

from pathlib import Path

from payment.app import run
from payment.settings import Settings
from shared.service import main

if __name__ == "__main__":
    main("payment", Path(__file__).parent, Settings, run)
