"""Our attempts against the provider's own list, line by line."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Literal

import msgspec

State = Literal["captured", "reversed", "open"]
"""What counts of a line: money taken, money gone back, or neither (yet)."""


class Difference(StrEnum):
    """How the two lists can differ."""

    MISSING_HERE = "missing-here"
    MISSING_THERE = "missing-there"
    AMOUNT = "amount"
    STATE = "state"
    DOUBLE = "double"


class TheirLine(msgspec.Struct, frozen=True, kw_only=True):
    """One operation in the provider's list; `order` is our order id or its own reference."""

    order: str
    reference: str
    state: State
    amount_cents: int
    at: datetime


class OurLine(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt of ours, under the names by which a provider may list it."""

    payment_id: str
    order_id: str
    reference: str
    provider_reference: str
    captured_cents: int
    returned_cents: int

    @property
    def names(self) -> frozenset[str]:
        """Every name under which the provider may list it."""
        return frozenset({self.order_id, self.reference, self.provider_reference} - {""})


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One difference between the lists."""

    difference: Difference
    order: str
    ours_cents: int = 0
    theirs_cents: int = 0
    payment_id: str = ""
    references: tuple[str, ...] = ()


def compare(ours: Iterable[OurLine], theirs: Iterable[TheirLine]) -> list[Finding]:
    """Return every difference in money between the two lists; none when they are equal.

    What took no money on either side is no difference: a payer may leave before the provider files
    anything.
    """
    attempts = sorted(ours, key=lambda line: line.order_id)
    by_name = {name: attempt for attempt in attempts for name in attempt.names}
    told: dict[str, list[TheirLine]] = {}
    strangers: dict[str, list[TheirLine]] = {}
    for line in theirs:
        attempt = by_name.get(line.order) or by_name.get(line.reference)
        if attempt is None:
            strangers.setdefault(line.order, []).append(line)
        else:
            told.setdefault(attempt.payment_id, []).append(line)
    findings = [found for attempt in attempts for found in _of(attempt, told)]
    for order, lines in sorted(strangers.items()):
        taken = _sum(lines, "captured")
        if taken:
            findings.append(
                Finding(
                    difference=Difference.MISSING_HERE,
                    order=order,
                    theirs_cents=taken,
                    references=_references(lines),
                )
            )
    return findings


def _of(attempt: OurLine, told: Mapping[str, list[TheirLine]]) -> Iterable[Finding]:
    lines = told.get(attempt.payment_id, [])
    captures = {line.reference: line for line in lines if line.state == "captured"}
    taken, back = _sum(captures.values(), "captured"), _sum(lines, "reversed")
    if not lines and attempt.captured_cents:
        yield _finding(Difference.MISSING_THERE, attempt, attempt.captured_cents, 0)
    elif len(captures) > 1:
        yield _finding(
            Difference.DOUBLE,
            attempt,
            attempt.captured_cents,
            taken,
            _references(captures.values()),
        )
    elif bool(taken) != bool(attempt.captured_cents):
        yield _finding(Difference.STATE, attempt, attempt.captured_cents, taken)
    elif taken != attempt.captured_cents:
        yield _finding(Difference.AMOUNT, attempt, attempt.captured_cents, taken)
    elif bool(back) != bool(attempt.returned_cents):
        yield _finding(Difference.STATE, attempt, -attempt.returned_cents, -back)
    elif back != attempt.returned_cents:
        yield _finding(Difference.AMOUNT, attempt, -attempt.returned_cents, -back)


def _finding(
    difference: Difference,
    attempt: OurLine,
    ours_cents: int,
    theirs_cents: int,
    references: tuple[str, ...] = (),
) -> Finding:
    return Finding(
        difference=difference,
        order=attempt.order_id,
        ours_cents=ours_cents,
        theirs_cents=theirs_cents,
        payment_id=attempt.payment_id,
        references=references,
    )


def _sum(lines: Iterable[TheirLine], state: State) -> int:
    return sum(line.amount_cents for line in lines if line.state == state)


def _references(lines: Iterable[TheirLine] | Sequence[TheirLine]) -> tuple[str, ...]:
    return tuple(sorted({line.reference for line in lines}))
