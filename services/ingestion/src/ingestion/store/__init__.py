"""All the SQL of ingestion, one module for each subject."""
