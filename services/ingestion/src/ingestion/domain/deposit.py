"""How a deposit lives: read or failed; then published, held for somebody to look, or dropped."""

from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar, TypeVar

from shared.errors import DomainError


class DepositStatus(StrEnum):
    """How far the reading of a deposit is."""

    READING = "reading"
    """It came in whole; its lines are being read, or will be when a process is free."""
    DONE = "done"
    """Every line has its outcome."""
    FAILED = "failed"
    """It cannot be read: nothing of it was kept."""


class PublishMode(StrEnum):
    """When the invoices of a deposit are published."""

    AUTO = "auto"
    MANUAL = "manual"
    AT = "at"
    """At the beginning of a day in France."""


class Release(StrEnum):
    """Whether the accepted invoices of a deposit have gone on to publication."""

    NONE = "none"
    """There is nothing to publish: not read yet, failed, or a dry run."""
    HELD = "held"
    RELEASED = "released"
    CANCELLED = "cancelled"


RELEASE_MOVES: Mapping[Release, frozenset[Release]] = {
    Release.NONE: frozenset({Release.HELD, Release.RELEASED}),
    Release.HELD: frozenset({Release.RELEASED, Release.CANCELLED}),
    Release.RELEASED: frozenset(),
    Release.CANCELLED: frozenset(),
}
"""Every legal move; what is not here does not happen."""

S = TypeVar("S", bound=StrEnum)


class IllegalMoveError(DomainError):
    """The deposit is not in a state from which this can be done."""

    slug: ClassVar[str] = "illegal-move"


def require_move(moves: Mapping[S, frozenset[S]], source: S, target: S) -> None:
    """Return when the table has this move.

    Raises:
        IllegalMoveError: it has not.
    """
    if target not in moves[source]:
        message = f"Un dépôt « {source.value} » ne peut devenir « {target.value} »."
        raise IllegalMoveError(message)
