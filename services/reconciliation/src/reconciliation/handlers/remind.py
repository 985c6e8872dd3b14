"""Decides, by the clock, who is to be reminded."""

import msgspec

from reconciliation.domain.ledger import reminder_is_due
from reconciliation.ports import OpenUnit
from shared.clock import Clock, paris_date
from shared.events import ReminderDue

REMINDED_AT_ONCE = 500
FIRST_LEVEL = 1


async def remind(open_unit: OpenUnit, clock: Clock, default_days: int) -> int:
    """Decide the first reminder of overdue invoices; each is decided once, by one replica."""
    now = clock.now()
    today = paris_date(now)
    async with open_unit() as unit:
        due = [
            state
            for state, after_days in await unit.books.overdue(today, default_days, REMINDED_AT_ONCE)
            if reminder_is_due(state, after_days=after_days, today=today)
        ]
        for state in due:
            await unit.books.keep_reminder(
                state.invoice_id, FIRST_LEVEL, state.outstanding_cents, now
            )
        await unit.books.keep(
            [msgspec.structs.replace(state, reminder_level=FIRST_LEVEL) for state in due]
        )
        await unit.publish(
            [
                ReminderDue(
                    invoice_id=state.invoice_id,
                    version=state.version,
                    level=FIRST_LEVEL,
                    authority=state.authority,
                    regie=state.regie,
                    number=state.number,
                    due_on=state.due_on or today,
                    outstanding_cents=state.outstanding_cents,
                    currency="EUR",
                    decided_at=now,
                )
                for state in due
            ]
        )
    return len(due)
