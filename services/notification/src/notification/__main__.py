"""`python -m notification [run|migrate|check]`."""

from pathlib import Path

from notification.app import run
from notification.settings import Settings
from shared.service import main

if __name__ == "__main__":
    main("notification", Path(__file__).parent, Settings, run)
