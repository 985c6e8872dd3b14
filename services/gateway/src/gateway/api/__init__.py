"""The pages of the portal and the doors beside them."""
