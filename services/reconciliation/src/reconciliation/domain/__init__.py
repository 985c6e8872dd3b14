"""The rules: of the books, and of the live figures."""
