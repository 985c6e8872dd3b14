"""`python -m ingestion [run|migrate|check]`."""

from pathlib import Path

from ingestion.app import run
from ingestion.settings import Settings
from shared.service import main

if __name__ == "__main__":
    main("ingestion", Path(__file__).parent, Settings, run)
