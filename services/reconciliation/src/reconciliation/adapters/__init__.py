"""The outside things that reconciliation speaks to."""
