"""What almost every page asks first."""

from datetime import timedelta
from typing import Protocol
from uuid import UUID

import msgspec

from gateway.ports.portal import Bucket, InvoiceView, Visitor


class Paper(msgspec.Struct, frozen=True, kw_only=True):
    """What a token leads to, and whether somebody may try tokens at all now.

    `wait` is how long not yet; `needs_proof` says that the token alone does not show everything.
    """

    invoice: InvoiceView | None = None
    needs_proof: bool = False
    wait: timedelta | None = None


class Lookups(Protocol):
    """Reads that many pages make at the same time, which is why they are made together."""

    async def paper(self, token: str, bucket: Bucket) -> Paper:
        """Return what a public token opens, for who is counted under `bucket`."""
        ...

    async def visitor(self, secret: str) -> Visitor | None:
        """Return who is behind a session that has not ended, and keep it awake."""
        ...

    async def own_invoices(self, account_id: UUID) -> list[InvoiceView]:
        """Return the newest invoices of an account, newest first, up to a limit."""
        ...
