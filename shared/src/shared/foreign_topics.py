"""Topics that others write, in words of their own: record by record, at least once, in order."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import msgspec
import stamina
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError

from shared.envelope import Record
from shared.environment import CommonSettings
from shared.errors import PermanentError, TooManyBurialsError, TransientError
from shared.kafka import (
    BURIALS_IN_A_ROW,
    FETCH_WAIT_MILLISECONDS,
    POLL_SECONDS,
    RETRIES,
    RETRY_SECONDS,
    Producer,
    burial,
    connection_options,
)
from shared.postgres import RETRYABLE_ERRORS

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

NEW_TOPICS_SECONDS = 30
"""Longest time until a topic that was just declared is listened to."""


class ForeignRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record as somebody else wrote it; topic, partition and offset name it for ever."""

    topic: str
    partition: int
    offset: int
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


class ForeignConsumer:
    """Hands over every record of the topics that a pattern names; offsets are committed last.

    A record that is refused for good (`PermanentError`) is buried with its reason, and the next one
    has its turn; one that cannot be handled now is tried again, and in the end stops the service.
    """

    def __init__(
        self,
        service: str,
        settings: CommonSettings,
        producer: Producer,
        *,
        pattern: str,
        handle: Callable[[ForeignRecord], Awaitable[None]],
    ) -> None:
        """Listen for `service` to the topics whose whole name matches `pattern`."""
        self._service = service
        self._producer = producer
        self._pattern = pattern
        self._handle = handle
        self._burials_in_a_row = 0
        self._options = connection_options(settings) | {
            "client_id": f"quittance-{service}-foreign",
            "group_id": f"quittance.{service}.foreign",
            "enable_auto_commit": False,
            "auto_offset_reset": "earliest",
            "isolation_level": "read_committed",
            "max_poll_records": 10,
            "fetch_max_wait_ms": FETCH_WAIT_MILLISECONDS,
            "metadata_max_age_ms": NEW_TOPICS_SECONDS * 1000,
            # A record may be long to read: the group must not take it for a death.
            "max_poll_interval_ms": 900_000,
        }

    async def run(self, stopping: asyncio.Event) -> None:
        """Consume until `stopping` is set.

        Raises:
            TooManyBurialsError: more bad records in a row than data alone explains.
        """
        consumer = AIOKafkaConsumer(**self._options)
        consumer.subscribe(pattern=self._pattern)
        await consumer.start()
        try:
            while not stopping.is_set():
                polled = await consumer.getmany(timeout_ms=int(POLL_SECONDS * 1000))
                for partition, records in polled.items():
                    for record in records:
                        await self._take(record)
                        await self._commit(consumer, partition, record.offset + 1)
        finally:
            await consumer.stop()

    async def _take(self, record: "ConsumerRecord[bytes, bytes]") -> None:
        try:
            async for attempt in stamina.retry_context(
                on=(TransientError, *RETRYABLE_ERRORS), attempts=RETRIES, timeout=RETRY_SECONDS
            ):
                with attempt:
                    await self._handle(
                        ForeignRecord(
                            topic=record.topic,
                            partition=record.partition,
                            offset=record.offset,
                            value=record.value or b"",
                            headers=tuple(record.headers),
                        )
                    )
            self._burials_in_a_row = 0
        except PermanentError as error:
            await self._bury(record, error)

    async def _bury(self, record: "ConsumerRecord[bytes, bytes]", error: PermanentError) -> None:
        grave: Record = burial(self._service, record, error, datetime.now(UTC))
        await self._producer.send_all([grave])
        logger.error(
            "record buried",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            reason=error.slug,
            detail=str(error),
        )
        self._burials_in_a_row += 1
        if self._burials_in_a_row > BURIALS_IN_A_ROW:
            message = f"{self._burials_in_a_row} records in a row were bad"
            raise TooManyBurialsError(message)

    async def _commit(
        self, consumer: AIOKafkaConsumer, partition: TopicPartition, offset: int
    ) -> None:
        try:
            await consumer.commit({partition: offset})
        except (CommitFailedError, IllegalStateError) as error:
            # The group was rebalanced meanwhile: the next owner takes the record again.
            logger.info("offsets left to the next owner", error=repr(error))
