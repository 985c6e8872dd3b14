"""An agent tells what stands in the provider's back office."""

from uuid import UUID

import msgspec

from payment.domain import Attempt, AttemptState, FoundBy, Notice, NoticeOutcome
from payment.domain.commands import Command
from payment.handlers.record import Evidence, Recorded, record
from payment.ports import OpenUnit, RawNotice
from shared.clock import Clock
from shared.errors import DomainError

FINE = frozenset(
    {
        NoticeOutcome.CAPTURED,
        NoticeOutcome.REFUSED,
        NoticeOutcome.ABANDONED,
        NoticeOutcome.REVERSED,
        NoticeOutcome.PART_REVERSED,
        NoticeOutcome.NOTHING_NEW,
        NoticeOutcome.SETTLED,
    }
)


class CommandRefusedError(DomainError):
    """What the agent tells cannot be of this attempt; `outcome` says which rule refuses."""

    slug = "command-refused"

    def __init__(self, outcome: NoticeOutcome) -> None:
        """Say which rule refuses."""
        super().__init__("Ce paiement ne permet pas cette opération.")
        self.outcome = outcome


async def act_for_agent(
    payment_id: UUID, command: Command, open_unit: OpenUnit, clock: Clock
) -> Attempt | None:
    """Record what an agent found through the path of every move, and return the attempt.

    None when there is no such attempt. The same command again changes nothing.

    Raises:
        CommandRefusedError: it contradicts what is known, or more would go back than was taken.
    """
    async with open_unit() as unit:
        attempt = await unit.attempts.lock(payment_id)
        if attempt is None:
            return None
        notice = _notice(attempt, command)
        evidence = Evidence(
            source=(attempt.provider, attempt.account),
            raw=RawNotice(
                body=msgspec.json.encode(command), query="", content_type="application/json"
            ),
        )
        recorded: Recorded = await record(
            unit,
            attempt,
            notice,
            FoundBy.AGENT,
            clock.now(),
            evidence=evidence,
            detail=command.agent,
        )
        # Nothing of a refused command is kept: the agent sees the refusal.
        if recorded.verdict.outcome not in FINE:
            raise CommandRefusedError(recorded.verdict.outcome)
    recorded.report(notice, evidence, FoundBy.AGENT)
    return recorded.verdict.attempt or attempt


def _notice(attempt: Attempt, command: Command) -> Notice:
    is_return = command.state == "reversed"
    rest = (attempt.captured_cents or 0) - attempt.returned_cents
    whole = rest if is_return else attempt.amount_cents
    cents = whole if command.amount_cents is None else command.amount_cents
    return Notice(
        order_id=attempt.order_id,
        fact="/".join(("agent", attempt.order_id, command.reference, command.state, str(cents))),
        state=AttemptState(command.state),
        amount_cents=cents,
        currency="EUR",
        provider_reference=command.reference,
        is_payment=not is_return,
        cause=(command.cause or "refund") if is_return else None,
        means=attempt.means,
    )
