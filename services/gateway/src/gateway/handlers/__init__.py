"""One module for each topic that the gateway shows."""
