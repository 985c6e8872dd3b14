"""Who gets a letter about a fact, what may keep it from leaving, and when to try again."""

from collections.abc import Mapping
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
from notification.domain.facts import Fact, Invoice, Part, Publication, Receipt, Reminder

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

    def outstanding_cents(self, invoice_id: UUID) -> int:
        """Return what is still owed on an invoice, never less than nothing."""
        invoice = self.invoices[invoice_id]
        if invoice.kind == "credit_note":
            return 0
        return max(0, invoice.amount_cents - self.paid_cents.get(invoice_id, 0))


def letters_for(
    fact: Fact, invoices: Mapping[UUID, Invoice], payments: Mapping[UUID, str | None]
) -> list[Letter]:
    """Return one letter for each address that must learn of a fact that is ready.

    A receipt goes where the payer asked, else to the address on the invoices. A reversal concerns
    both: who paid gets money back, whose invoice it is owes again.
    """
    if isinstance(fact, Publication | Reminder):
        address = invoices[fact.invoice_id].payer_email
        return [_letter(address, fact)] if address else []
    asked = fact.address if isinstance(fact, Receipt) else payments[fact.payment_id]
    if isinstance(fact, Receipt) and asked:
        return [_letter(asked, fact)]
    by_address: dict[str, list[Part]] = {}
    for part in fact.parts:
        address = invoices[part.invoice_id].payer_email
        if address:
            by_address.setdefault(address, []).append(part)
    if asked:
        by_address[asked] = list(fact.parts)
    letters: dict[bytes, Letter] = {}
    for address, parts in by_address.items():
        letter = _letter(address, msgspec.structs.replace(fact, parts=tuple(parts)))
        known = letters.get(letter.address_hash)
        # Two spellings of one address are one reader: the fuller letter is the one to send.
        if known is None or len(known.fact.invoice_ids) < len(parts):
            letters[letter.address_hash] = letter
    return list(letters.values())


def _letter(text: str, fact: Fact) -> Letter:
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


def reason_to_skip(letter: Letter, circumstances: Circumstances) -> SkipReason | None:
    """Return why a letter must not leave now, or None.

    A wish for no e-mail does not hold back a receipt that was asked for at this very address.
    """
    fact = letter.fact
    is_asked = (
        isinstance(fact, Receipt)
        and fact.address is not None
        and fingerprint(fact.address) == letter.address_hash
    )
    if letter.address_hash in circumstances.unwanted and not is_asked:
        return SkipReason.UNWANTED
    if isinstance(fact, Publication | Reminder):
        if circumstances.invoices[fact.invoice_id].version > fact.version:
            return SkipReason.SUPERSEDED
        is_owed = circumstances.outstanding_cents(fact.invoice_id) > 0
        if isinstance(fact, Reminder) and not is_owed:
            return SkipReason.PAID
    return None


def next_attempt(failed_attempts: int, at: datetime) -> datetime | None:
    """Return when to try again after so many failures, or None once the ladder is climbed."""
    if failed_attempts > len(RETRY_DELAYS):
        return None
    return at + RETRY_DELAYS[failed_attempts - 1]
