"""The doors: of the books, and of the live figures."""
