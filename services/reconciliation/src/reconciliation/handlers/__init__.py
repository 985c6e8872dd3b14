"""What reconciliation does: for each topic it consumes, and by the clock."""
