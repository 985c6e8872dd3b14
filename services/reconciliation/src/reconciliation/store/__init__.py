"""All the SQL of reconciliation, one module for each subject."""
