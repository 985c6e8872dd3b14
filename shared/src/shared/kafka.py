"""The one consumer loop and the one producer; nothing else in the project speaks to the broker."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import stamina
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    KafkaError,
    OutOfOrderSequenceNumber,
    ProducerFenced,
)

from shared import envelope, metrics, trace
from shared.envelope import Message, Record
from shared.environment import CommonSettings
from shared.errors import PermanentError, TooManyBurialsError, TransientError
from shared.events import EVENTS, Event
from shared.postgres import RETRYABLE_ERRORS, Database, Transaction

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

E = TypeVar("E", bound=Event)
Handler = Callable[[Sequence[Message[Any]], Transaction], Awaitable[None]]
"""Applies messages of one type, oldest first, within a transaction; a lone one is a list of one."""

POLL_RECORDS = 500
POLL_SECONDS = 1.0
FETCH_WAIT_MILLISECONDS = 500
"""Longest the broker holds back an empty answer; new records cut it short."""
EMBEDDED_FETCH_WAIT_MILLISECONDS = 50
"""The same for the embedded broker, Tansu, whose wait nothing cuts short."""
RETRIES = 8
RETRY_SECONDS = 60.0
BURIALS_IN_A_ROW = 20
ACKNOWLEDGEMENT_SECONDS = 60.0


STALLED_SECONDS = 180.0
"""Longer than the retries of a batch take; beyond it the loop hangs."""


class StalledConsumerError(TransientError):
    """The consumer makes no progress."""

    slug = "stalled"


class BrokerUnavailableError(TransientError):
    """The broker did not acknowledge in time."""

    slug = "broker-unavailable"


def connection_options(settings: CommonSettings) -> dict[str, Any]:
    """Return the options by which aiokafka's clients reach and prove themselves to the broker."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "security_protocol": settings.kafka_security,
    }
    if settings.kafka_security != "PLAINTEXT":
        options["ssl_context"] = ssl.create_default_context(cafile=settings.kafka_ca_file or None)
    if settings.kafka_security == "SASL_SSL":
        options |= {
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": settings.kafka_username,
            "sasl_plain_password": settings.kafka_password,
        }
    return options


def consumed_topics(service: str) -> list[str]:
    """Return the topics whose events name `service` among their consumers."""
    return sorted({event.TOPIC for event in EVENTS.values() if service in event.CONSUMERS})


def dead_letter_topic(service: str) -> str:
    """Return the topic in which `service` buries what it cannot use."""
    return f"dead-letters.{service}"


class Producer:
    """Sends records and returns once the broker has them all."""

    def __init__(self, settings: CommonSettings, *, client_id: str) -> None:
        """Keep the options; nothing connects before `start`."""
        self._options = connection_options(settings) | {
            "client_id": client_id,
            "acks": "all",
            "enable_idempotence": settings.kafka_idempotent_producer,
            "linger_ms": 2,
            "max_batch_size": 262_144,
        }
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connect to the broker."""
        self._producer = AIOKafkaProducer(**self._options)
        await self._producer.start()

    async def stop(self) -> None:
        """Send what is buffered and disconnect."""
        if self._producer is not None:
            await self._producer.stop()

    async def send_all(self, records: Iterable[Record]) -> None:
        """Send in order and wait for every acknowledgement.

        Raises:
            TimeoutError: no acknowledgement in time; the records may or may not be there.
        """
        try:
            if self._producer is None:
                await self.start()
            waiting = [await self._send(record) for record in records]
            # aiokafka's idempotent producer never gives up by itself.
            await asyncio.wait_for(asyncio.gather(*waiting), ACKNOWLEDGEMENT_SECONDS)
        except (OutOfOrderSequenceNumber, ProducerFenced, KafkaError) as error:
            # Some errors end aiokafka's sender for good, so a fresh producer goes on.
            logger.warning("producer rebuilt", error=repr(error))
            await self._discard()
            raise TimeoutError(str(error)) from error

    async def _send(self, record: Record) -> "asyncio.Future[Any]":
        if self._producer is None:
            message = "the producer is not started"
            raise BrokerUnavailableError(message)
        future: asyncio.Future[Any] = await self._producer.send(
            record.topic, key=record.key, value=record.value, headers=list(record.headers)
        )
        return future

    async def _discard(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            try:
                await asyncio.wait_for(producer.stop(), 5)
            except (TimeoutError, KafkaError) as error:
                logger.warning("old producer did not stop", error=repr(error))


class Consumer:
    """Reads a service's topics and hands each poll to the handlers in one transaction.

    Inbox, state and outbox commit together, offsets after them: a crash means once more, never not
    at all, and once more changes nothing. When a poll fails as a whole it is handled record by
    record, so that a bad record is buried alone. Records with one key stay in order.
    """

    def __init__(
        self,
        service: str,
        settings: CommonSettings,
        database: Database,
        producer: Producer,
        handlers: Mapping[type[Event], Handler],
    ) -> None:
        """Consume for `service`; `handlers` must cover what the events say it consumes."""
        self._service = service
        self._database = database
        self._producer = producer
        self._handlers = {event.TYPE: handler for event, handler in handlers.items()}
        expected = {name for name, event in EVENTS.items() if service in event.CONSUMERS}
        if expected != set(self._handlers):
            message = f"{service} handles {sorted(self._handlers)}, declared {sorted(expected)}"
            raise ValueError(message)
        self._options = connection_options(settings) | {
            "client_id": f"quittance-{service}",
            "group_id": f"quittance.{service}",
            "enable_auto_commit": False,
            "auto_offset_reset": "earliest",
            "isolation_level": "read_committed",
            "max_poll_records": POLL_RECORDS,
            # Only the embedded broker is used without idempotent producers.
            "fetch_max_wait_ms": FETCH_WAIT_MILLISECONDS
            if settings.kafka_idempotent_producer
            else EMBEDDED_FETCH_WAIT_MILLISECONDS,
        }
        self._burials_in_a_row = 0
        self.progressed_at: datetime = datetime.now(UTC)

    async def run(self, stopping: asyncio.Event) -> None:
        """Consume until `stopping` is set.

        Raises:
            TooManyBurialsError: more bad records in a row than data alone explains.
        """
        consumer = AIOKafkaConsumer(*consumed_topics(self._service), **self._options)
        await consumer.start()
        try:
            while not stopping.is_set():
                polled = await consumer.getmany(timeout_ms=int(POLL_SECONDS * 1000))
                self.progressed_at = datetime.now(UTC)
                if polled:
                    await self._handle_poll([r for rows in polled.values() for r in rows])
                    await self._commit(consumer, polled)
        finally:
            await consumer.stop()

    async def _commit(
        self,
        consumer: AIOKafkaConsumer,
        polled: Mapping[TopicPartition, Sequence["ConsumerRecord[bytes, bytes]"]],
    ) -> None:
        try:
            await consumer.commit({part: rows[-1].offset + 1 for part, rows in polled.items()})
        except (CommitFailedError, IllegalStateError) as error:
            # The group was rebalanced meanwhile: the next owner reads again, the inbox stops it.
            logger.info("offsets left to the next owner", error=repr(error))

    async def alive(self) -> None:
        """Return while the loop goes round: liveness by progress, never by a dependency.

        Raises:
            StalledConsumerError: it has not polled for longer than any batch may take.
        """
        idle_seconds = (datetime.now(UTC) - self.progressed_at).total_seconds()
        if idle_seconds > STALLED_SECONDS:
            message = f"no poll for {idle_seconds:.0f} s"
            raise StalledConsumerError(message)

    async def _handle_poll(self, records: Sequence["ConsumerRecord[bytes, bytes]"]) -> None:
        with metrics.BATCH_SECONDS.time():
            good: list[tuple[ConsumerRecord[bytes, bytes], Message[Event]]] = []
            for record in records:
                try:
                    good.append((record, envelope.read(record.value, record.headers)))
                    self._burials_in_a_row = 0
                except PermanentError as error:
                    await self._bury(record, error)
            if not good:
                return
            try:
                await self._apply([message for _, message in good])
            except (PermanentError, TransientError) as error:
                logger.warning("batch failed, going one by one", error=repr(error), size=len(good))
                for record, message in good:
                    await self._apply_alone(record, message)

    async def _apply_alone(
        self, record: "ConsumerRecord[bytes, bytes]", message: Message[Event]
    ) -> None:
        try:
            await self._apply([message])
            self._burials_in_a_row = 0
        except PermanentError as error:
            await self._bury(record, error)

    async def _apply(self, messages: Sequence[Message[Event]]) -> None:
        accepted: list[Message[Event]] = []
        async for attempt in stamina.retry_context(
            on=(TransientError, *RETRYABLE_ERRORS), attempts=RETRIES, timeout=RETRY_SECONDS
        ):
            with attempt:
                async with self._database.transaction() as transaction:
                    accepted = await transaction.accept(messages)
                    for name, batch in _by_type(accepted).items():
                        trace.current.set(batch[0].traceparent)
                        await self._handlers[name](batch, transaction)
        # Handlers leave tasks in the database: its workers need not wait to look.
        self._database.work_added.set()
        for message in messages:
            metrics.MESSAGES_HANDLED.labels(message.type).inc()
        if len(accepted) < len(messages):
            logger.info("repeated messages left alone", count=len(messages) - len(accepted))
            metrics.MESSAGES_REPEATED.labels(messages[0].type).inc(len(messages) - len(accepted))

    async def _bury(self, record: "ConsumerRecord[bytes, bytes]", error: PermanentError) -> None:
        logger.error(
            "record buried",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            reason=error.slug,
            detail=str(error),
        )
        await self._producer.send_all([burial(self._service, record, error, datetime.now(UTC))])
        metrics.MESSAGES_BURIED.labels(record.topic, error.slug).inc()
        self._burials_in_a_row += 1
        if self._burials_in_a_row > BURIALS_IN_A_ROW:
            message = f"{self._burials_in_a_row} records in a row were bad"
            raise TooManyBurialsError(message)


def burial(
    service: str, record: "ConsumerRecord[bytes, bytes]", error: PermanentError, at: datetime
) -> Record:
    """Return what goes to the dead letters of `service`: the record as it came, and the reason."""
    reasons = {
        "dead_reason": error.slug,
        "dead_detail": str(error)[:1000],
        "dead_service": service,
        "dead_topic": record.topic,
        "dead_partition": str(record.partition),
        "dead_offset": str(record.offset),
        "dead_at": at.isoformat(),
    }
    return Record(
        topic=dead_letter_topic(service),
        key=record.key or b"",
        value=record.value or b"",
        headers=(
            *record.headers,
            *((name, text.encode()) for name, text in reasons.items()),
        ),
    )


def _by_type(messages: Sequence[Message[Event]]) -> dict[str, list[Message[Event]]]:
    # A topic has one current type, so grouping by type keeps the order within each topic.
    groups: dict[str, list[Message[Event]]] = {}
    for message in messages:
        groups.setdefault(message.type, []).append(message)
    return groups
