"""What a provider takes, and what the authority decided for its account."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

import msgspec


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider takes and how it behaves; `session` is how long its page lives.

    `pause_between_attempts` passes between the start of an attempt whose end the provider has not
    told and the next one for the same invoice.
    """

    minimum_cents: int
    maximum_cents: int
    can_be_asked: bool
    needs_email: bool
    takes_several: bool
    routes: frozenset[str]
    session: timedelta
    pause_between_attempts: timedelta


class PartialPayment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether a payer may pay a part, and the least of it; the treasury's debts never allow it."""

    allowed: bool = False
    minimum_cents: Annotated[int, msgspec.Meta(ge=1)] = 1_00


class Closure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A time in which no payment starts: the régie's own, or the provider's maintenance."""

    starts_at: Annotated[datetime, msgspec.Meta(tz=True)]
    ends_at: Annotated[datetime, msgspec.Meta(tz=True)]
    cause: Literal["regie", "maintenance"] = "maintenance"


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What the authority decided for an account, from its configuration.

    `days_after_due` is how long after its due date an invoice can still be paid online; None: for
    ever. `days_until_known` is how long after its publication the treasury's own service knows a
    titre: it learns of them overnight.
    """

    partial: PartialPayment = PartialPayment()
    closures: tuple[Closure, ...] = ()
    days_after_due: int | None = None
    days_until_known: int = 1

    def closure_at(self, now: datetime) -> Closure | None:
        """Return the closure that `now` falls into, or None."""
        return next((one for one in self.closures if one.starts_at <= now < one.ends_at), None)


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """An account that takes the money of an invoice, its provider's rules and its terms."""

    provider: str
    account: str
    rules: Rules
    terms: Terms

    @property
    def name(self) -> tuple[str, str]:
        """What tells it from every other."""
        return (self.provider, self.account)
