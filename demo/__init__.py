"""A whole town on one machine: `python -m demo run` to click through, `python -m demo journey`."""
