"""All the SQL of payment, one module for each subject."""
