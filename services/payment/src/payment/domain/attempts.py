"""An attempt to pay, and the one table of its moves."""

import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Literal
from uuid import UUID, uuid5

import msgspec

from shared.errors import DomainError
from shared.events import Event, PaymentCaptured, PaymentReversed
from shared.events.payment_captured import Allocation, Means

ORDER_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Without characters that people mistake for each other: it is read out on the telephone."""
ORDER_LENGTH = 16

Cause = Literal["refund", "chargeback", "cancelled"]
"""Why money went back, as `payment.reversed` says it."""


class AttemptState(StrEnum):
    """Where an attempt stands."""

    CREATED = "created"
    REDIRECTED = "redirected"
    PENDING = "pending"
    CAPTURED = "captured"
    REFUSED = "refused"
    ABANDONED = "abandoned"
    EXPIRED = "expired"
    REVERSED = "reversed"


class FoundBy(StrEnum):
    """Who found that an attempt moved."""

    START = "start"
    NOTICE = "notice"
    RETURN = "return"
    POLL = "poll"
    CLOCK = "clock"
    PAYER = "payer"
    AGENT = "agent"


IN_FLIGHT = frozenset({AttemptState.CREATED, AttemptState.REDIRECTED, AttemptState.PENDING})
"""States in which an attempt holds its invoices: no other may start for them."""
TOOK_MONEY = frozenset({AttemptState.CAPTURED, AttemptState.REVERSED})
PROVIDERS_WORD = frozenset({FoundBy.NOTICE, FoundBy.POLL, FoundBy.AGENT})
"""Who reports what the provider itself says; the others only know what we did."""


class Edge(msgspec.Struct, frozen=True):
    """One legal move and what it means."""

    source: AttemptState
    target: AttemptState
    meaning: str


_S = AttemptState
EDGES: tuple[Edge, ...] = (
    Edge(_S.CREATED, _S.REDIRECTED, "the provider prepared its page and the payer is led there"),
    Edge(_S.CREATED, _S.PENDING, "the provider has it under way; its first answer was lost"),
    Edge(_S.CREATED, _S.CAPTURED, "the money was taken; the provider's first answer was lost"),
    Edge(_S.CREATED, _S.REFUSED, "the provider does not want this order"),
    Edge(_S.CREATED, _S.ABANDONED, "the provider did not answer, or the payer gave up"),
    Edge(_S.CREATED, _S.EXPIRED, "its time is over"),
    Edge(_S.REDIRECTED, _S.PENDING, "the payer came back, or the provider has it under way"),
    Edge(_S.REDIRECTED, _S.CAPTURED, "the money was taken"),
    Edge(_S.REDIRECTED, _S.REFUSED, "the bank said no"),
    Edge(_S.REDIRECTED, _S.ABANDONED, "the payer gave up"),
    Edge(_S.REDIRECTED, _S.EXPIRED, "its time is over"),
    Edge(_S.PENDING, _S.CAPTURED, "the money was taken"),
    Edge(_S.PENDING, _S.REFUSED, "the bank said no"),
    Edge(_S.PENDING, _S.ABANDONED, "the payer gave up"),
    Edge(_S.PENDING, _S.EXPIRED, "its time is over"),
    # A late truth is booked, never refused: the provider may take money for a closed attempt.
    Edge(_S.REFUSED, _S.CAPTURED, "another try on the provider's page went through"),
    Edge(_S.ABANDONED, _S.CAPTURED, "the money was taken all the same"),
    Edge(_S.ABANDONED, _S.REFUSED, "the bank said no, as was learnt later"),
    Edge(_S.EXPIRED, _S.CAPTURED, "the money was taken all the same"),
    Edge(_S.EXPIRED, _S.REFUSED, "the bank said no, as was learnt later"),
    Edge(_S.EXPIRED, _S.ABANDONED, "the payer gave up, as was learnt later"),
    Edge(_S.CAPTURED, _S.CAPTURED, "a part went back, or the bank says that it is final"),
    Edge(_S.CAPTURED, _S.REVERSED, "all of it went back"),
)
"""Every legal move; what is not here does not happen. The README shows this table."""

MOVES: Mapping[AttemptState, frozenset[AttemptState]] = {
    state: frozenset(edge.target for edge in EDGES if edge.source is state)
    for state in AttemptState
}


class Returned(msgspec.Struct, frozen=True, kw_only=True):
    """Money of a captured attempt that went back; `reference` is the provider's name of it."""

    reversal_id: UUID
    reference: str
    cause: Cause
    parts: tuple[Allocation, ...]

    @property
    def amount_cents(self) -> int:
        """What went back."""
        return sum(part.amount_cents for part in self.parts)


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try to pay one or several invoices of one authority.

    `reference` is the provider's own name of it, empty when it gave none. `is_settled` is false
    while the money that was taken may still come back unpaid. `closed_by` says who found its end.
    """

    payment_id: UUID
    order_id: str
    authority: str
    provider: str
    account: str
    amount_cents: int
    state: AttemptState
    email: str | None
    started_at: datetime
    expires_at: datetime
    allocations: tuple[Allocation, ...]
    captured_cents: int | None = None
    provider_reference: str | None = None
    reference: str = ""
    means: Means = "card"
    is_settled: bool = True
    closed_by: FoundBy | None = None
    returned: tuple[Returned, ...] = ()

    @property
    def is_in_flight(self) -> bool:
        """Whether it holds its invoices."""
        return self.state in IN_FLIGHT

    @property
    def returned_cents(self) -> int:
        """What of the captured money went back."""
        return sum(entry.amount_cents for entry in self.returned)


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of an attempt's history."""

    source: AttemptState | None
    target: AttemptState
    found_by: FoundBy
    moved_at: datetime
    detail: str = ""


class IllegalMoveError(DomainError):
    """The table of moves has no such edge."""

    slug: ClassVar[str] = "illegal-move"


def new_order_id() -> str:
    """Return the reference of an attempt at the provider."""
    return "".join(secrets.choice(ORDER_ALPHABET) for _ in range(ORDER_LENGTH))


def moved(
    attempt: Attempt,
    target: AttemptState,
    provider_reference: str = "",
    *,
    means: Means = "card",
    is_settled: bool = True,
) -> Attempt:
    """Return the attempt in another state; a capture takes what was asked, neither more nor less.

    Raises:
        IllegalMoveError: the table has no such move, or a capture that names no operation.
    """
    is_capture = target is AttemptState.CAPTURED
    if target not in MOVES[attempt.state] or (is_capture and not provider_reference):
        message = f"{attempt.state.value} -> {target.value}"
        raise IllegalMoveError(message)
    if not is_capture:
        return msgspec.structs.replace(attempt, state=target)
    return msgspec.structs.replace(
        attempt,
        state=target,
        captured_cents=attempt.amount_cents,
        provider_reference=provider_reference,
        means=means,
        is_settled=is_settled,
    )


def given_back(attempt: Attempt, cents: int, reference: str, cause: Cause) -> Attempt:
    """Return a captured attempt of which `cents` went back, from its last allocation on.

    What was paid first stays paid longest: a basket is paid oldest debt first.

    Raises:
        IllegalMoveError: nothing was taken, or more went back than was taken.
    """
    rest = (attempt.captured_cents or 0) - attempt.returned_cents
    if attempt.state is not AttemptState.CAPTURED or not 0 < cents <= rest or not reference:
        message = f"{cents} of {rest} cents back in state {attempt.state.value}"
        raise IllegalMoveError(message)
    entry = Returned(
        reversal_id=uuid5(attempt.payment_id, reference),
        reference=reference,
        cause=cause,
        parts=tuple(_taken_back(_remaining(attempt), cents)),
    )
    return msgspec.structs.replace(
        attempt,
        state=AttemptState.REVERSED if cents == rest else AttemptState.CAPTURED,
        returned=(*attempt.returned, entry),
        is_settled=True if cents == rest else attempt.is_settled,
    )


def _remaining(attempt: Attempt) -> list[Allocation]:
    gone: dict[UUID, int] = {}
    for entry in attempt.returned:
        for part in entry.parts:
            gone[part.invoice_id] = gone.get(part.invoice_id, 0) + part.amount_cents
    return [
        msgspec.structs.replace(part, amount_cents=part.amount_cents - gone.get(part.invoice_id, 0))
        for part in attempt.allocations
    ]


def _taken_back(remaining: list[Allocation], cents: int) -> Iterable[Allocation]:
    for part in reversed(remaining):
        share = min(cents, part.amount_cents)
        if share > 0:
            yield msgspec.structs.replace(part, amount_cents=share)
        cents -= share


def facts(before: Attempt, after: Attempt, at: datetime) -> list[Event]:
    """Return what others must hear of a move."""
    events: list[Event] = []
    if after.captured_cents is not None and before.captured_cents is None:
        events.append(captured_event(after, at))
    events += [reversed_event(after, entry, at) for entry in after.returned[len(before.returned) :]]
    return events


def captured_event(attempt: Attempt, at: datetime) -> PaymentCaptured:
    """Return the fact that the money of a captured attempt was taken."""
    return PaymentCaptured(
        payment_id=attempt.payment_id,
        authority=attempt.authority,
        means=attempt.means,
        provider=attempt.provider,
        provider_reference=attempt.provider_reference or "",
        amount_cents=attempt.captured_cents or 0,
        currency="EUR",
        allocations=attempt.allocations,
        receipt_email=attempt.email,
        captured_at=at,
    )


def reversed_event(attempt: Attempt, entry: Returned, at: datetime) -> PaymentReversed:
    """Return the fact that money went back, and which invoices it reopens."""
    return PaymentReversed(
        reversal_id=entry.reversal_id,
        payment_id=attempt.payment_id,
        authority=attempt.authority,
        means=attempt.means,
        provider=attempt.provider,
        provider_reference=entry.reference,
        cause=entry.cause,
        amount_cents=entry.amount_cents,
        currency="EUR",
        allocations=entry.parts,
        reversed_at=at,
    )
