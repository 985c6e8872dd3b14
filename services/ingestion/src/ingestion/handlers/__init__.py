"""One module for each topic that ingestion consumes."""
