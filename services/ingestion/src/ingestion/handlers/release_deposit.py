"""A held deposit is published, or dropped as if it had never come."""

from datetime import datetime
from uuid import UUID

import msgspec

from ingestion.domain import RELEASE_MOVES, Release, require_move
from ingestion.ports import HeldInvoice, InvoiceRow, OpenUnit, Unit
from shared.clock import Clock, paris_date
from shared.errors import DomainError

BATCH = 500
DEPOSITS_AT_ONCE = 10


class UnknownDepositError(DomainError):
    """No such deposit."""

    slug = "unknown-deposit"


async def release_deposit(deposit_id: UUID, open_unit: OpenUnit, clock: Clock) -> None:
    """Publish what a deposit holds; what a later deposit has replaced meanwhile is left out.

    Raises:
        UnknownDepositError: there is none.
        IllegalMoveError: it is not held.
    """
    async with open_unit() as unit:
        await _require(deposit_id, Release.RELEASED, unit)
        await _release(deposit_id, unit, clock.now())


async def cancel_deposit(deposit_id: UUID, open_unit: OpenUnit, clock: Clock) -> None:
    """Drop what a deposit holds: each invoice is again what it was before.

    Raises:
        UnknownDepositError: there is none.
        IllegalMoveError: it is not held.
    """
    async with open_unit() as unit:
        await _require(deposit_id, Release.CANCELLED, unit)
        await _cancel(deposit_id, unit, clock.now())


async def release_due(open_unit: OpenUnit, clock: Clock) -> int:
    """Publish held deposits whose day has come in France; return how many; safe in replicas."""
    count = 0
    while True:
        now = clock.now()
        async with open_unit() as unit:
            due = await unit.deposits.due(paris_date(now), DEPOSITS_AT_ONCE)
            for deposit_id in due:
                await _release(deposit_id, unit, now)
        count += len(due)
        if len(due) < DEPOSITS_AT_ONCE:
            return count


async def _require(deposit_id: UUID, target: Release, unit: Unit) -> None:
    deposit = await unit.deposits.progress(deposit_id, lock=True)
    if deposit is None:
        raise UnknownDepositError(str(deposit_id))
    require_move(RELEASE_MOVES, deposit.release, target)


async def _release(deposit_id: UUID, unit: Unit, now: datetime) -> None:
    after = -1
    while held := await unit.invoices.held(deposit_id, after, BATCH):
        after = held[-1].position
        rows = await unit.invoices.lock([entry.event.invoice_id for entry in held])
        current = [
            entry.event for entry in held if _is_still_held(entry, rows.get(entry.event.invoice_id))
        ]
        # It is generated, for all who come after, when it is let go.
        await unit.publish([msgspec.structs.replace(event, generated_at=now) for event in current])
        await unit.invoices.replace(
            [
                msgspec.structs.replace(rows[event.invoice_id], state="generated", changed_at=now)
                for event in current
            ]
        )
    await unit.invoices.drop_held(deposit_id)
    await unit.deposits.release(deposit_id, Release.RELEASED)


async def _cancel(deposit_id: UUID, unit: Unit, now: datetime) -> None:
    # Backwards: of two versions of one invoice in the deposit the later is undone first.
    before: int | None = None
    while held := await unit.invoices.held_backwards(deposit_id, before, BATCH):
        before = held[-1].position
        rows = await unit.invoices.lock([entry.event.invoice_id for entry in held])
        undone: dict[UUID, InvoiceRow | None] = dict(rows)
        for entry in held:
            if _is_still_held(entry, undone.get(entry.event.invoice_id)):
                undone[entry.event.invoice_id] = entry.earlier
        await unit.invoices.remove([i for i, row in undone.items() if row is None])
        await unit.invoices.replace(
            [
                msgspec.structs.replace(row, changed_at=now)
                for i, row in undone.items()
                if row is not None and row != rows[i]
            ]
        )
    await unit.invoices.drop_held(deposit_id)
    await unit.deposits.release(deposit_id, Release.CANCELLED)


def _is_still_held(entry: HeldInvoice, row: InvoiceRow | None) -> bool:
    """Say whether no later deposit has replaced it and nobody has taken it back."""
    return row is not None and row.state == "held" and row.version == entry.event.version
