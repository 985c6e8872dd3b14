"""Figures, each beside the limit found in the same run: `make bench`."""
