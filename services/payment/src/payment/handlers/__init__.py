"""What payment does: for each topic it consumes, and for each demand at its doors."""
