"""What the gateway asks of others, and the arts it needs: passwords, tokens."""
