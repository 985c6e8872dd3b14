"""What leaves by itself: mails to the mail server, pushes to push services."""

from notification.worker.mails import BATCH, LEASE, URGENT_BATCH, Mailer
from notification.worker.pushes import PUSH_BATCH, PUSH_LEASE, SIDE_BY_SIDE, Pusher

__all__ = [
    "BATCH",
    "LEASE",
    "PUSH_BATCH",
    "PUSH_LEASE",
    "SIDE_BY_SIDE",
    "URGENT_BATCH",
    "Mailer",
    "Pusher",
]
