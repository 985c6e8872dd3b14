"""The live figures' stream: a view that a replay of the topics makes again, never a record.

Faust acknowledges an event even when its agent raises, so no money and no mail passes here. The
topics are declared by us; Faust makes the changelog of its table and its own. A row is kept under
its fact's name in the partition of the event, where the same fact always comes again, so
several workers share the partitions and each counts what it holds.
"""

import asyncio
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import faust
import msgspec
import structlog
from faust.exceptions import ConsistencyError
from faust.types import TP

from reconciliation.domain.figures import Figures, Row, row_of
from shared import envelope, metrics
from shared.environment import CommonSettings
from shared.errors import ContractError, TransientError
from shared.events import EVENTS, InvoicePublished, PaymentCaptured, PaymentReversed

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

APPLICATION = "quittance.figures"
TABLE = "rows"
CHANGELOG = f"{APPLICATION}-{TABLE}-changelog"
SOURCES = (InvoicePublished, PaymentCaptured, PaymentReversed)
STALLED_SECONDS = 120.0
CACHE_BYTES = 8 * 1024 * 1024
"""RocksDB's defaults ask for gigabytes; the rows are small and read once."""


class StalledStreamError(TransientError):
    """Events wait and none is taken."""

    slug = "stalled"


class NotRecoveredError(TransientError):
    """The table is still being read back."""

    slug = "not-recovered"


class FiguresStream:
    """The Faust application and the sums over its table."""

    def __init__(
        self,
        settings: CommonSettings,
        *,
        folder: Path,
        partitions: int,
        replication: int,
        rebalance_seconds: int = 60,
    ) -> None:
        """Keep the table in `folder`, with as many partitions as the source topics have."""
        # Untyped: Faust's interfaces leave out what tells progress and recovery.
        self._app: Any = faust.App(
            APPLICATION,
            broker=[f"kafka://{server}" for server in settings.kafka_bootstrap_servers.split(",")],
            broker_credentials=_credentials(settings),
            store="rocksdb://",
            datadir=str(folder),
            topic_partitions=partitions,
            topic_replication_factor=replication,
            consumer_auto_offset_reset="earliest",
            broker_rebalance_timeout=rebalance_seconds,
            broker_session_timeout=min(30, rebalance_seconds),
            broker_heartbeat_interval=min(3, rebalance_seconds / 3),
            web_enabled=False,
            # aiokafka's idempotent producer is not asked for: rows are idempotent themselves.
            producer_acks=-1,
            stream_wait_empty=False,
            logging_config=None,
        )
        self._table: Any = self._app.Table(
            TABLE,
            partitions=partitions,
            options={
                "write_buffer_size": CACHE_BYTES,
                "block_cache_size": CACHE_BYTES,
                "block_cache_compressed_size": CACHE_BYTES,
                "max_open_files": 64,
            },
        )
        self._folder = folder
        self._figures: Figures | None = None
        self._moved_at = time.monotonic()
        self._positions: Mapping[TP, int] = {}
        topic = self._app.topic(
            *sorted({event.TOPIC for event in SOURCES}),
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
            partitions=partitions,
        )
        self._app.agent(topic, name="count")(self._count)
        self._app.on_partitions_revoked.connect(self._forget)

    async def _count(self, stream: Any) -> None:  # noqa: ANN401 - Faust has no types
        async for event in stream.events():
            try:
                self._take(event.message.value, event.message.headers)
            except ContractError as error:
                # Consumers with state bury such a record; a view only tells of it.
                logger.warning("record left out of the figures", error=str(error))
                metrics.MESSAGES_BURIED.labels(event.message.topic, error.slug).inc()

    def _take(self, value: bytes, headers: Any) -> None:  # noqa: ANN401 - a mapping or pairs
        pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
        found = row_of(envelope.read(value, [(name, bytes(text)) for name, text in pairs]).data)
        if found is None:
            return
        name, row = found
        if self._table.get(name) is not None:
            return
        self._table[name] = msgspec.to_builtins(row)
        if self._figures is not None:
            self._figures.add(row)
        for delay in row.delays:
            metrics.FLOW_SECONDS.labels(delay.step, delay.authority).observe(delay.seconds)

    def _forget(self, *_partitions: object, **_more: object) -> None:
        # Rows of other partitions come with the next assignment: the sums are made again.
        self._figures = None

    def figures(self) -> Figures:
        """Return the sums over the rows of the partitions that this worker holds.

        Raises:
            NotRecoveredError: the table is still being read back.
        """
        if not self.is_recovered:
            raise NotRecoveredError
        if self._figures is None:
            figures = Figures()
            for value in self._table.values():
                figures.add(msgspec.convert(value, Row))
            self._figures = figures
        return self._figures

    @property
    def is_recovered(self) -> bool:
        """Whether the table is whole and its partitions are assigned."""
        return bool(
            self._app.started
            and not self._app.rebalancing
            and self._app.tables.recovery.completed.is_set()
            and self._app.consumer.assignment()
        )

    async def alive(self) -> None:
        """Return while events are taken as they come.

        Raises:
            StalledStreamError: events wait and none was taken for two minutes.
        """
        if not self._app.started:
            return
        consumer = self._app.consumer
        own = [tp for tp in consumer.assignment() if tp.topic in {e.TOPIC for e in EVENTS.values()}]
        read = {tp: consumer._read_offset.get(tp) or 0 for tp in own}  # noqa: SLF001
        behind = any((consumer.highwater(tp) or 0) > read[tp] + 1 for tp in own)
        now = time.monotonic()
        if read != self._positions or not behind:
            self._positions, self._moved_at = read, now
        if now - self._moved_at > STALLED_SECONDS:
            raise StalledStreamError

    async def run(self, stopping: asyncio.Event) -> None:
        """Count until `stopping` is set.

        Raises:
            Exception: what made the stream crash.
        """
        self._app.finalize()
        await self._app.start()
        reason: BaseException | None = None
        try:
            while not stopping.is_set():
                if self._app.crashed:
                    reason = self._app.crash_reason or StalledStreamError()
                    raise reason
                try:
                    await asyncio.wait_for(stopping.wait(), 1)
                except TimeoutError:
                    self._measure()
        finally:
            await self._app.stop()
            if isinstance(reason, ConsistencyError):
                # A kill came between the table's write and its changelog's: the event was not
                # committed either, so the next start reads the changelog and then the event.
                logger.warning("local table dropped, to be read back from its changelog")
                await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    def _measure(self) -> None:
        if self._figures is not None:
            for authority, day, regie, cents in self._figures.days():
                metrics.COLLECTED_CENTS.labels(authority, regie, day.isoformat()).set(cents)


def _credentials(settings: CommonSettings) -> Any:  # noqa: ANN401 - Faust's own types
    if settings.kafka_security == "PLAINTEXT":
        return None
    import ssl  # noqa: PLC0415 - only where TLS is spoken

    context = ssl.create_default_context(cafile=settings.kafka_ca_file or None)
    if settings.kafka_security == "SSL":
        return faust.SSLCredentials(context=context)
    return faust.SASLCredentials(
        username=settings.kafka_username,
        password=settings.kafka_password,
        ssl_context=context,
        mechanism="SCRAM-SHA-512",
    )
