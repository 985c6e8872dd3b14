"""All the SQL of publication, one module for each subject."""

from publication.store.folders import PostgresFolders
from publication.store.print_runs import PostgresPrintRuns

__all__ = ["PostgresFolders", "PostgresPrintRuns"]
