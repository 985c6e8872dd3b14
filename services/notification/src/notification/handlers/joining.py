"""Facts meet their invoices and accounts here, whichever came first."""

from collections.abc import Collection, Mapping, Sequence
from typing import TypeGuard
from uuid import UUID

from notification.domain import (
    Appearance,
    Contact,
    Invoice,
    Parked,
    Receipt,
    Reminder,
    Reversal,
    are_invoices_known,
    is_ready,
    letters_for,
    letters_to_viewers,
    pushes_for,
)
from notification.ports import Office


async def tell_or_park(facts: Sequence[Parked], office: Office) -> list[Parked]:
    """Write the letters of facts that are ready, put the others aside; return the ready ones.

    The invoices and accounts of all these facts must be locked, or the facts themselves if they
    were parked.
    """
    if not facts:
        return []
    invoices = await office.invoices({name for fact in facts for name in fact.invoice_ids})
    payments = await office.payments(
        {fact.payment_id for fact in facts if isinstance(fact, Reversal)}
    )
    accounts = await office.contacts(
        {fact.account_id for fact in facts if isinstance(fact, Appearance)}
    )
    ready = [fact for fact in facts if is_ready(fact, invoices, payments, accounts)]
    await office.park([fact for fact in facts if not is_ready(fact, invoices, payments, accounts)])
    # First the letters to payers: of two that are the same, the payer's may say more.
    await office.add_letters(
        [
            letter
            for fact in ready
            if not isinstance(fact, Appearance)
            for letter in letters_for(fact, invoices, payments)
        ]
    )
    await _tell_viewers([fact for fact in facts if _has_viewers(fact)], invoices, accounts, office)
    return ready


async def tell_parked(arrived: Collection[UUID], office: Office) -> None:
    """Write the letters of facts that waited for what has just arrived."""
    waiting = await office.parked(arrived)
    await office.unpark(await tell_or_park(waiting, office))


def _has_viewers(fact: Parked) -> TypeGuard[Receipt | Reminder | Appearance]:
    return isinstance(fact, Receipt | Reminder | Appearance)


async def _tell_viewers(
    facts: Sequence[Receipt | Reminder | Appearance],
    invoices: Mapping[UUID, Invoice],
    accounts: Mapping[UUID, Contact],
    office: Office,
) -> None:
    """Write to the accounts that see these invoices, and push to their devices.

    A push needs no more than the invoice: it does not wait for an account without an address.
    """
    known = [fact for fact in facts if are_invoices_known(fact, invoices)]
    if not known:
        return
    shared = {
        name for fact in known if not isinstance(fact, Appearance) for name in fact.invoice_ids
    }
    viewers = await office.viewers(shared) if shared else {}
    seeing = {account for of_invoice in viewers.values() for account in of_invoice}
    readers = dict(accounts) | await office.contacts(seeing - accounts.keys())
    addresses = {name: reader.email for name, reader in readers.items() if reader.email}
    devices = await office.devices(
        seeing | {fact.account_id for fact in known if isinstance(fact, Appearance)}
    )
    await office.add_letters(
        [letter for fact in known for letter in letters_to_viewers(fact, viewers, addresses)]
    )
    await office.add_pushes(
        [push for fact in known for push in pushes_for(fact, invoices, viewers, devices)]
    )
