"""What lies outside: the page that a letter is written on, and the mail server."""
