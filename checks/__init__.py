"""What `make check` runs beside the linters, and what `make contracts` writes."""
