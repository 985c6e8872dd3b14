"""`ports.Office` in memory."""

from collections.abc import Collection, Sequence
from uuid import UUID

from notification.domain import (
    Contact,
    Device,
    Invoice,
    Letter,
    Movement,
    Parked,
    Push,
    View,
    Wishes,
    awaited_ids,
    fingerprint,
    latest,
)
from shared.events import ContactUpdated


class FakeOffice:
    """`ports.Office` in memory: one transaction after the other."""

    def __init__(self) -> None:
        """Start with nothing known."""
        self.known: dict[UUID, Invoice] = {}
        self.movements: dict[tuple[UUID, UUID], Movement] = {}
        self.aside: dict[tuple[str, str], Parked] = {}
        self.letters: dict[UUID, Letter] = {}
        self.wishes: dict[bytes, ContactUpdated] = {}
        self.accounts: dict[UUID, ContactUpdated] = {}
        self.views: dict[tuple[UUID, UUID], View] = {}
        self.telephones: list[Device] = []
        self.pushes: dict[UUID, Push] = {}

    async def lock_invoices(self, invoice_ids: Collection[UUID]) -> dict[UUID, Invoice]:
        """Return the invoices known."""
        return await self.invoices(invoice_ids)

    async def invoices(self, invoice_ids: Collection[UUID]) -> dict[UUID, Invoice]:
        """Return the invoices known."""
        return {name: self.known[name] for name in invoice_ids if name in self.known}

    async def keep_invoices(self, invoices: Sequence[Invoice]) -> None:
        """Remember higher versions."""
        for invoice in invoices:
            known = self.known.get(invoice.invoice_id)
            if known is None or known.version < invoice.version:
                self.known[invoice.invoice_id] = invoice

    async def keep_movements(self, movements: Sequence[Movement]) -> None:
        """Remember each fact once."""
        for movement in movements:
            self.movements.setdefault((movement.fact_id, movement.invoice_id), movement)

    async def payments(self, payment_ids: Collection[UUID]) -> dict[UUID, str | None]:
        """Return captured payments."""
        return {
            movement.payment_id: movement.receipt_address
            for movement in self.movements.values()
            if movement.payment_id in payment_ids and movement.amount_cents > 0
        }

    async def park(self, facts: Sequence[Parked]) -> None:
        """Put facts aside."""
        for fact in facts:
            self.aside.setdefault((fact.kind, fact.key), fact)

    async def parked(self, arrived: Collection[UUID]) -> list[Parked]:
        """Return the facts that await one of these."""
        ordered = sorted(self.aside)
        return [
            self.aside[name]
            for name in ordered
            if not set(arrived).isdisjoint(awaited_ids(self.aside[name]))
        ]

    async def unpark(self, facts: Sequence[Parked]) -> None:
        """Forget that these were put aside."""
        for fact in facts:
            self.aside.pop((fact.kind, fact.key), None)

    async def add_letters(self, letters: Sequence[Letter]) -> None:
        """Add letters, each once."""
        for letter in letters:
            self.letters.setdefault(letter.message_id, letter)

    async def keep_wish(self, contact: ContactUpdated) -> None:
        """Remember the newest wish, at each address the account ever proved."""
        if contact.email is None:
            return
        for name, wish in list(self.wishes.items()):
            if wish.account_id == contact.account_id and wish.updated_at < contact.updated_at:
                self.wishes[name] = contact
        name = fingerprint(contact.email)
        known = self.wishes.get(name)
        if known is None or known.updated_at < contact.updated_at:
            self.wishes[name] = contact

    async def lock_accounts(self, account_ids: Collection[UUID]) -> dict[UUID, Contact]:
        """Return the accounts known."""
        return await self.contacts(account_ids)

    async def contacts(self, account_ids: Collection[UUID]) -> dict[UUID, Contact]:
        """Return the accounts known, closed ones too."""
        return {
            name: Contact(
                account_id=name,
                email=self.accounts[name].email,
                wishes=Wishes.of(self.accounts[name]),
            )
            for name in account_ids
            if name in self.accounts
        }

    async def keep_contact(self, contact: ContactUpdated) -> None:
        """Remember the newest; of a closed account only that it is closed."""
        known = self.accounts.get(contact.account_id)
        if known and (known.email is None or known.updated_at >= contact.updated_at):
            return
        self.accounts[contact.account_id] = contact
        if contact.email is None:
            name = contact.account_id
            self.views = {pair: view for pair, view in self.views.items() if pair[1] != name}
            self.telephones = [d for d in self.telephones if d.account_id != name]
            self.pushes = {i: p for i, p in self.pushes.items() if p.account_id != name}

    async def keep_views(self, views: Sequence[View]) -> None:
        """Remember who sees what, but for closed accounts."""
        closed = {name for name, known in self.accounts.items() if known.email is None}
        told = [view for view in views if view.account_id not in closed]
        self.views = {view.pair: view for view in latest([*self.views.values(), *told])}

    async def viewers(self, invoice_ids: Collection[UUID]) -> dict[UUID, list[UUID]]:
        """Return who sees these invoices."""
        found: dict[UUID, list[UUID]] = {}
        for (invoice_id, account_id), view in sorted(self.views.items()):
            if invoice_id in invoice_ids and view.is_seeing:
                found.setdefault(invoice_id, []).append(account_id)
        return found

    async def devices(self, account_ids: Collection[UUID]) -> list[Device]:
        """Return the devices of these accounts."""
        return [device for device in self.telephones if device.account_id in account_ids]

    async def add_pushes(self, pushes: Sequence[Push]) -> None:
        """Add pushes, each once."""
        for push in pushes:
            self.pushes.setdefault(push.push_id, push)

    def unwanted(self, address: str) -> bool:
        """Tell whether no e-mail is wanted at `address`."""
        wish = self.wishes.get(fingerprint(address))
        return wish is not None and not wish.wants_email

    def told(self) -> list[tuple[str, str]]:
        """Return (kind, address) of every letter, sorted."""
        return sorted((letter.fact.kind, letter.address) for letter in self.letters.values())
