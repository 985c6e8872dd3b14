"""`python -m publication [run|migrate|check]`."""

from pathlib import Path

from publication.app import run
from publication.settings import Settings
from shared.service import main

if __name__ == "__main__":
    main("publication", Path(__file__).parent, Settings, run)
