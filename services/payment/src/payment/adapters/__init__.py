"""One module for each provider, and the accounts that are configured."""
