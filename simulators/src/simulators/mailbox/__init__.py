"""The mailbox: an SMTP server that keeps every message, with a web page and a JSON API."""
