"""Who sees which invoice in an account, and who does no more."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import msgspec

from shared.events import InvoiceAppeared, InvoiceDisappeared


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What was told, at a moment, of one invoice in one account.

    `seen_until` is when a right that is lent ends by itself; none for one's own.
    """

    invoice_id: UUID
    account_id: UUID
    told_at: datetime
    is_seeing: bool
    seen_until: datetime | None = None

    @property
    def pair(self) -> tuple[UUID, UUID]:
        """Which invoice, in whose account."""
        return (self.invoice_id, self.account_id)

    @property
    def rank(self) -> tuple[datetime, bool, float]:
        """What makes one view count before another: the later, then the one that shows less.

        Two that say the same have the same rank, so that any order leaves the same.
        """
        reach = -self.seen_until.timestamp() if self.seen_until else float("-inf")
        return (self.told_at, not self.is_seeing, reach)


def view_begun_by(event: InvoiceAppeared) -> View:
    """Return what an appearance tells."""
    return View(
        invoice_id=event.invoice_id,
        account_id=event.account_id,
        told_at=event.appeared_at,
        is_seeing=True,
        seen_until=event.until,
    )


def view_ended_by(event: InvoiceDisappeared) -> View:
    """Return what a disappearance tells."""
    return View(
        invoice_id=event.invoice_id,
        account_id=event.account_id,
        told_at=event.disappeared_at,
        is_seeing=False,
    )


def latest(views: Iterable[View]) -> list[View]:
    """Return the view that counts of each invoice and account, in one order."""
    kept: dict[tuple[UUID, UUID], View] = {}
    for view in views:
        known = kept.get(view.pair)
        if known is None or known.rank < view.rank:
            kept[view.pair] = view
    return [kept[pair] for pair in sorted(kept)]
