"""Who gets a letter about a fact, what may keep it from leaving, and when to try again."""

from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID, uuid5

import msgspec

from notification.domain.addresses import (
    ADDRESS_LENGTH,
    AddressError,
    fingerprint,
    parse_address,
)
from notification.domain.contacts import Event, is_wanted
from notification.domain.facts import (
    AccountNews,
    Appearance,
    Fact,
    Invoice,
    InvoiceFact,
    Part,
    Publication,
    Receipt,
    Reminder,
    Reversal,
)
from shared.events.contact_updated import Choice

MESSAGE_NAMESPACE = UUID("6f1d9c0e-7f0b-5d0a-9a54-2f5d1f0a7c11")
"""Message ids are made from (kind, fact, address): the same mail has the same id for ever."""

RETRY_DELAYS = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=4),
    timedelta(hours=12),
    timedelta(hours=24),
)
"""Pause after each attempt that failed for now; after the last one the mail is abandoned."""


class State(StrEnum):
    """Where a message stands; all but the first are final, so that nothing is ever sent again."""

    WAITING = "waiting"
    SENT = "sent"
    SKIPPED = "skipped"
    REFUSED = "refused"
    ABANDONED = "abandoned"


class SkipReason(StrEnum):
    """Why a message is deliberately not sent."""

    DISAPPEARED = "disappeared"
    EXPIRED = "expired"
    NO_DEVICE = "no-device"
    PAID = "paid"
    SUPERSEDED = "superseded"
    UNWANTED = "unwanted"


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one address about one fact."""

    message_id: UUID
    address: str
    address_hash: bytes
    fact: Fact
    state: State = State.WAITING
    reason: str | None = None


class Circumstances(msgspec.Struct, frozen=True, kw_only=True):
    """What is known at the moment a message is about to leave."""

    invoices: Mapping[UUID, Invoice]
    paid_cents: Mapping[UUID, int]
    unwanted: AbstractSet[bytes]
    choices: Mapping[bytes, tuple[Choice, ...]] = {}
    """What was chosen by the account that proved an address, by the address's fingerprint."""
    seen: AbstractSet[tuple[bytes, UUID]] = frozenset()
    """Which invoices are seen now in the account of an address, by the address's fingerprint."""

    def outstanding_cents(self, invoice_id: UUID) -> int:
        """Return what is still owed on an invoice, never less than nothing."""
        invoice = self.invoices[invoice_id]
        if invoice.kind == "credit_note":
            return 0
        return max(0, invoice.amount_cents - self.paid_cents.get(invoice_id, 0))

    def is_payer(self, address_hash: bytes, invoice_id: UUID) -> bool:
        """Tell whether an address is the one on an invoice."""
        payer = self.invoices[invoice_id].payer_email
        return payer is not None and fingerprint(payer) == address_hash

    def is_seen(self, address_hash: bytes, invoice_id: UUID) -> bool:
        """Tell whether an invoice is seen now in the account of an address."""
        return (address_hash, invoice_id) in self.seen

    def has_account(self, address_hash: bytes) -> bool:
        """Tell whether an account that is not closed proved an address."""
        return address_hash in self.choices


def letters_for(
    fact: InvoiceFact, invoices: Mapping[UUID, Invoice], payments: Mapping[UUID, str | None]
) -> list[Letter]:
    """Return one letter for each address that must learn of a fact that is ready.

    A receipt goes where the payer asked, else to the address on the invoices. A reversal concerns
    both: who paid gets money back, whose invoice it is owes again.
    """
    if isinstance(fact, Publication | Reminder):
        address = invoices[fact.invoice_id].payer_email
        return [letter_to(address, fact)] if address else []
    asked = fact.address if isinstance(fact, Receipt) else payments[fact.payment_id]
    if isinstance(fact, Receipt) and asked:
        return [letter_to(asked, fact)]
    by_address: dict[str, list[Part]] = {}
    for part in fact.parts:
        address = invoices[part.invoice_id].payer_email
        if address:
            by_address.setdefault(address, []).append(part)
    if asked:
        by_address[asked] = list(fact.parts)
    letters: dict[bytes, Letter] = {}
    for address, parts in by_address.items():
        letter = letter_to(address, msgspec.structs.replace(fact, parts=tuple(parts)))
        known = letters.get(letter.address_hash)
        # Two spellings of one address are one reader: the fuller letter is the one to send.
        if known is None or len(known.fact.invoice_ids) < len(parts):
            letters[letter.address_hash] = letter
    return list(letters.values())


def letters_to_viewers(
    fact: Receipt | Reminder | Appearance,
    viewers: Mapping[UUID, Collection[UUID]],
    addresses: Mapping[UUID, str],
) -> list[Letter]:
    """Return one letter for each account that sees an invoice of the fact and has an address.

    A letter that the payer gets at the same address is the same letter, with the same id. An
    account reads only of the invoices that it sees.
    """
    if isinstance(fact, Appearance):
        address = addresses.get(fact.account_id)
        return [letter_to(address, fact.publication)] if address else []
    letters: list[Letter] = []
    for account_id, seen in seen_by(fact, viewers).items():
        address = addresses.get(account_id)
        if address is None:
            continue
        told: Fact = fact
        if isinstance(fact, Receipt):
            parts = tuple(part for part in fact.parts if part.invoice_id in seen)
            told = msgspec.structs.replace(fact, parts=parts)
        letters.append(letter_to(address, told))
    return letters


def seen_by(
    fact: Receipt | Reminder, viewers: Mapping[UUID, Collection[UUID]]
) -> dict[UUID, list[UUID]]:
    """Return which invoices of the fact each account sees, in the order of the fact."""
    seen: dict[UUID, list[UUID]] = {}
    for invoice_id in fact.invoice_ids:
        for account_id in viewers.get(invoice_id, ()):
            seen.setdefault(account_id, []).append(invoice_id)
    return seen


def letter_to(text: str, fact: Fact) -> Letter:
    """Return a letter to an address, refused at once when that is none."""
    try:
        address, state, reason = parse_address(text), State.WAITING, None
    except AddressError as error:
        # Kept where the régie can see it: somebody must correct the address.
        address, state, reason = text[:ADDRESS_LENGTH], State.REFUSED, error.slug
    address_hash = fingerprint(text)
    name = f"{fact.kind}|{fact.key}|{address_hash.hex()}"
    return Letter(
        message_id=uuid5(MESSAGE_NAMESPACE, name),
        address=address,
        address_hash=address_hash,
        fact=fact,
        state=state,
        reason=reason,
    )


def without_secrets(letter: Letter, news: AccountNews) -> Letter:
    """Return a letter about an account that has ended: it keeps nothing that opens anything."""
    bare = msgspec.structs.replace(news, link=None, code=None, details={})
    return msgspec.structs.replace(letter, fact=bare)


def reason_to_skip(
    letter: Letter, circumstances: Circumstances, now: datetime
) -> SkipReason | None:
    """Return why a letter must not leave now, or None.

    Whoever is neither the payer nor sees every invoice of it in their account is not told any more.
    A wish for no e-mail does not hold back a receipt that was asked for at this very address, nor
    a letter about the account itself, which comes too late once what it carries has expired.
    """
    fact = letter.fact
    if isinstance(fact, AccountNews):
        is_late = fact.expires_at is not None and fact.expires_at <= now
        return SkipReason.EXPIRED if is_late else None
    if not _may_know(letter, fact, circumstances):
        return SkipReason.DISAPPEARED
    if not is_asked_for(letter) and not _is_wanted(letter.address_hash, fact, circumstances):
        return SkipReason.UNWANTED
    if isinstance(fact, Publication | Reminder):
        if circumstances.invoices[fact.invoice_id].version > fact.version:
            return SkipReason.SUPERSEDED
        is_owed = circumstances.outstanding_cents(fact.invoice_id) > 0
        if isinstance(fact, Reminder) and not is_owed:
            return SkipReason.PAID
    return None


def is_asked_for(letter: Letter) -> bool:
    """Tell whether this is a receipt that the payer asked for at this very address."""
    return (
        isinstance(letter.fact, Receipt)
        and letter.fact.address is not None
        and fingerprint(letter.fact.address) == letter.address_hash
    )


def _may_know(letter: Letter, fact: InvoiceFact, circumstances: Circumstances) -> bool:
    if isinstance(fact, Reversal) or is_asked_for(letter):
        # It goes to who paid as well, whoever sees the invoice.
        return True
    reader = letter.address_hash
    return all(
        circumstances.is_payer(reader, invoice_id) or circumstances.is_seen(reader, invoice_id)
        for invoice_id in fact.invoice_ids
    )


def _is_wanted(address_hash: bytes, fact: InvoiceFact, circumstances: Circumstances) -> bool:
    if address_hash in circumstances.unwanted:
        return False
    event = _EVENTS.get(type(fact))
    if event is None:
        return True
    authority = circumstances.invoices[fact.invoice_ids[0]].authority
    return is_wanted(circumstances.choices.get(address_hash, ()), event, "email", authority)


_EVENTS: Mapping[type, Event] = {
    Publication: "invoice",
    Reminder: "reminder",
    Receipt: "receipt",
}
"""What choices are about; money that goes back is no matter of choice."""


def next_attempt(failed_attempts: int, at: datetime) -> datetime | None:
    """Return when to try again after so many failures, or None once the ladder is climbed."""
    if failed_attempts > len(RETRY_DELAYS):
        return None
    return at + RETRY_DELAYS[failed_attempts - 1]
