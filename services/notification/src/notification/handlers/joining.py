"""Facts meet their invoices here, whichever came first."""

from collections.abc import Collection, Sequence
from uuid import UUID

from notification.domain import Fact, Reversal, is_ready, letters_for
from notification.ports import Office


async def tell_or_park(facts: Sequence[Fact], office: Office) -> list[Fact]:
    """Write the letters of facts that are ready, put the others aside; return the ready ones.

    The invoices of all these facts must be locked, or the facts themselves if they were parked.
    """
    if not facts:
        return []
    invoices = await office.invoices({name for fact in facts for name in fact.invoice_ids})
    payments = await office.payments(
        {fact.payment_id for fact in facts if isinstance(fact, Reversal)}
    )
    ready = [fact for fact in facts if is_ready(fact, invoices, payments)]
    await office.park([fact for fact in facts if not is_ready(fact, invoices, payments)])
    await office.add_letters(
        [letter for fact in ready for letter in letters_for(fact, invoices, payments)]
    )
    return ready


async def tell_parked(arrived: Collection[UUID], office: Office) -> None:
    """Write the letters of facts that waited for what has just arrived."""
    waiting = await office.parked(arrived)
    await office.unpark(await tell_or_park(waiting, office))
