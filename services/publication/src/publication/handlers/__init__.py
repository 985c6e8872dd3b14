"""One module for each topic that publication consumes."""
