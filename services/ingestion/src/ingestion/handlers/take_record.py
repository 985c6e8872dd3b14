"""A billing application that speaks Kafka deposits on a topic of its own."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import ClassVar
from uuid import UUID

from ingestion.domain import DepositStatus
from ingestion.ports import DepositProgress, DepositRow, Incoming, OpenUnit, Received, Terms
from shared.errors import ContractError, TransientError
from shared.foreign_topics import ForeignRecord

TOPICS = "biller.deposited."
"""What the name of such a topic begins with; the client id follows. The broker's access list says
that nobody but this client writes there, so the name proves who deposits."""
PATTERN = r"^biller\.deposited\.[A-Za-z0-9_-]{3,100}$"
KEY_HEADERS = ("ce_id", "idempotency-key")


class UnknownBillerError(ContractError):
    """No client of that name may deposit on a topic."""

    slug: ClassVar[str] = "unknown-biller"


class RefusedDepositError(ContractError):
    """The record is no deposit that can be read."""

    slug: ClassVar[str] = "unreadable-deposit"


class UnfinishedError(TransientError):
    """The deposit is not read yet: another process has it."""

    slug: ClassVar[str] = "deposit-unfinished"


async def take_record(
    record: ForeignRecord,
    open_unit: OpenUnit,
    spool: Callable[[bytes], Awaitable[Incoming]],
    keep: Callable[[Received, Terms], Awaitable[DepositRow | UUID]],
    begin: Callable[[DepositRow, Incoming], "asyncio.Task[None]"],
) -> None:
    """Take a record as a deposit and return once it is read; the same record again changes nothing.

    Its key is the record's own `ce_id` or `idempotency-key`, if it has one, else its place in the
    topic.

    Raises:
        UnknownBillerError, RefusedDepositError: it will never be taken.
        UnfinishedError: it is to be tried again.
    """
    client = record.topic.removeprefix(TOPICS)
    async with open_unit() as unit:
        biller = await unit.deposits.kafka_biller(client)
    if biller is None:
        raise UnknownBillerError(client)
    authority, regies = biller
    incoming = await spool(record.value)
    terms = Terms(authority=authority, client=client, regies=regies, idempotency_key=_key(record))
    try:
        kept = await keep(incoming.received, terms)
    except BaseException:
        await incoming.discard()
        raise
    if isinstance(kept, UUID):
        await incoming.discard()
    else:
        await begin(kept, incoming)
    deposit = await _progress(kept if isinstance(kept, UUID) else kept.deposit_id, open_unit)
    if deposit is None or deposit.status is DepositStatus.READING:
        raise UnfinishedError(record.topic)
    if deposit.problem is not None:
        message = f"{deposit.deposit_id}: {deposit.problem.code}: {deposit.problem.message}"
        raise RefusedDepositError(message)


async def _progress(deposit_id: UUID, open_unit: OpenUnit) -> DepositProgress | None:
    async with open_unit() as unit:
        return await unit.deposits.progress(deposit_id)


def _key(record: ForeignRecord) -> str:
    for name, value in record.headers:
        if name in KEY_HEADERS and 0 < len(value) <= 200:
            return f"kafka:{value.decode(errors='replace')}"
    return f"kafka:{record.topic}:{record.partition}:{record.offset}"
