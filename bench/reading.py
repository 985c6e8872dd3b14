"""Reading large deposits: speed beside the bare library, memory, cost as tables grow."""

import asyncio
import csv
import io
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import msgspec
from lxml import etree

from demo.processes import memory_bytes
from ingestion.adapters import job_files
from ingestion.domain import Regie
from ingestion.ports import ReadingJob
from tests.broker.depositing import a_database
from tests.samples.pes_builder import write_large_pes

GROWN = 1_000_000
BATCH = 1000
MEMORY_PAUSE_SECONDS = 0.1
FILL = """
INSERT INTO invoice (invoice_id, authority, regie, number, version, fingerprint, state, kind,
                     amount_cents, changed_at)
SELECT gen_random_uuid(), 'saint-aubin', 'CANTINE', 'OLD-' || n, 1, md5(n::text) || md5(n::text),
    'generated', 'invoice', 4100, now()
FROM generate_series(1, $1::integer) AS n
"""
EMPTY = "TRUNCATE deposit, deposit_line, invoice, held_invoice, outbox"


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How fast one large file goes in: the bare parse, our reading, the whole deposit."""

    name: str
    lines: int
    megabytes: float
    bare_per_second: float
    read_per_second: float
    deposited_per_second: float
    peak_megabytes: float

    @property
    def share(self) -> float:
        """Our reading, rules included, as a share of the bare parse."""
        return self.read_per_second / self.bare_per_second


def ndjson(count: int, first: int = 0) -> bytes:
    """Return that many invoices, one a line."""
    return b"".join(
        json.dumps(
            {
                "regie": "CANTINE",
                "number": f"N-{number}",
                "issued_on": "2026-11-01",
                "due_on": "2026-12-01",
                "amount_cents": 4100 + number % 1000,
                "currency": "EUR",
                "subject": "Restauration scolaire – octobre",
                "route": "regie",
                "payer": {
                    "reference": f"FAM-{number}",
                    "name": "Camille Martin",
                    "email": f"camille.{number}@example.org",
                    "address": ["12 rue des Tilleuls", "76000 Rouen"],
                },
            },
            ensure_ascii=False,
        ).encode()
        + b"\n"
        for number in range(first, first + count)
    )


def table(count: int) -> bytes:
    """Return that many invoices as a clerk's spreadsheet exports them."""
    target = io.StringIO()
    writer = csv.writer(target, delimiter=";")
    writer.writerow(
        (
            "N° facture",
            "Date",
            "Échéance",
            "Montant TTC",
            "Objet",
            "Code famille",
            "Nom",
            "Courriel",
        )
    )
    for number in range(count):
        euros, cents = divmod(4100 + number % 1000, 100)
        writer.writerow(
            (
                f"C-{number}",
                "01/11/2026",
                "01/12/2026",
                f"{euros},{cents:02} €",
                "Restauration scolaire",
                f"FAM-{number}",
                "Camille Martin",
                f"camille.{number}@example.org",
            )
        )
    return target.getvalue().encode("utf-8-sig")


def _bare_ndjson(content: bytes) -> int:
    return sum(1 for line in io.BytesIO(content) if msgspec.json.decode(line))


def _bare_table(content: bytes) -> int:
    rows = csv.reader(io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig"), delimiter=";")
    return sum(1 for _ in rows) - 1


def _bare_pes(content: bytes) -> int:
    found = 0
    for _, element in etree.iterparse(io.BytesIO(content), tag="{*}Piece"):
        found += 1
        element.clear()
        while element.getprevious() is not None:
            del element.getparent()[0]
    return found


def large_pes(pieces: int) -> bytes:
    """Return an ORMC of that many pieces."""
    target = io.BytesIO()
    write_large_pes(target, pieces)
    return target.getvalue()


class Counter:
    """Ingestion in its own process, its database, and a biller."""

    def __init__(self, url: str, pid: int, database: str, session: aiohttp.ClientSession) -> None:
        """Speak to the doors at `url` of process `pid`."""
        self.pid = pid
        self.database = database
        self._url = url
        self._session = session

    async def deposit(self, content: bytes, regie: str) -> dict[str, Any]:
        """Deposit and return how it ended."""
        headers = {"Authorization": "Bearer biller"}
        address = f"{self._url}/v1/deposits"
        async with self._session.post(
            address,
            data=content,
            params={"regie": regie},
            headers=headers | {"Prefer": "wait=30", "Content-Type": "application/octet-stream"},
        ) as answer:
            state: dict[str, Any] = await answer.json(content_type=None)
        while state["status"] == "reading":
            await asyncio.sleep(0.1)
            async with self._session.get(
                f"{address}/{state['deposit_id']}", headers=headers
            ) as answer:
                state = await answer.json(content_type=None)
        return state


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Counter]:
    """Run ingestion alone."""
    async with a_database(folder / "postgres") as database, aiohttp.ClientSession() as session:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bench.counter",
            str(folder),
            database,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        if process.stdin is None or process.stdout is None:
            raise RuntimeError
        try:
            url = (await process.stdout.readline()).decode().strip()
            yield Counter(url, process.pid, database, session)
        finally:
            process.stdin.close()
            await process.wait()


async def readings(folder: Path, lines: int, say: Callable[[str], None]) -> list[Reading]:
    """Return what each kind of large file costs; `lines` in NDJSON and CSV, a fifth in PES."""
    files = (
        ("NDJSON", "CANTINE", ndjson(lines), _bare_ndjson),
        ("CSV", "CANTINE", table(lines), _bare_table),
        ("PES", "EAU", large_pes(lines // 5), _bare_pes),
    )
    found = []
    async with opened(folder) as counter:
        for name, regie, content, bare in files:
            reading = await _measure(counter, folder / name, name, regie, content, bare)
            say(
                f"  {name:<8}{reading.lines:>7} lines {reading.megabytes:5.1f} MB"
                f"  bare {reading.bare_per_second:8.0f}/s  read {reading.read_per_second:6.0f}/s"
                f" ({reading.share:.2f})  deposited {reading.deposited_per_second:6.0f}/s"
                f"  peak {reading.peak_megabytes:.0f} MB"
            )
            found.append(reading)
    return found


async def _measure(
    counter: Counter,
    folder: Path,
    name: str,
    regie: str,
    content: bytes,
    bare: Callable[[bytes], int],
) -> Reading:
    started = time.process_time()
    lines = bare(content)
    bare_seconds = time.process_time() - started
    read_seconds = await asyncio.to_thread(_read, folder, regie, content)
    connection = await asyncpg.connect(counter.database)
    await connection.execute(EMPTY)
    await connection.close()
    peak = [0]
    watching = asyncio.create_task(_watch(counter.pid, peak))
    started = time.perf_counter()
    state = await counter.deposit(content, regie)
    spent = time.perf_counter() - started
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    if state["created"] != lines:
        raise RuntimeError(str(state))
    return Reading(
        name=name,
        lines=lines,
        megabytes=len(content) / 1e6,
        bare_per_second=lines / bare_seconds,
        read_per_second=lines / read_seconds,
        deposited_per_second=lines / spent,
        peak_megabytes=peak[0] / 1e6,
    )


async def _watch(pid: int, peak: list[int]) -> None:
    while True:
        peak[0] = max(peak[0], await asyncio.to_thread(memory_bytes, pid))
        await asyncio.sleep(MEMORY_PAUSE_SECONDS)


def _read(folder: Path, regie: str, content: bytes) -> float:
    """Return the processor seconds that reading and checking take, in this process."""
    from ingestion.adapters import reading  # noqa: PLC0415 - as a reading process does

    (folder / job_files.DOCUMENTS).mkdir(parents=True)
    (folder / job_files.BODY).write_bytes(content)
    job = ReadingJob(
        folder=folder,
        has_body=True,
        size_bytes=len(content),
        declared="",
        parts={},
        authority="saint-aubin",
        regie=regie,
        version=None,
        regies={
            "CANTINE": Regie(code="CANTINE", route="regie"),
            "EAU": Regie(code="EAU", route="treasury"),
        },
        mapping={},
        today=date(2026, 11, 24),
        document_maximum_bytes=20_000_000,
        seconds=600,
    )
    started = time.thread_time()
    result = reading.read(job)
    spent = time.thread_time() - started
    if result.problem is not None:
        raise RuntimeError(str(result))
    return spent


async def flatness(folder: Path, deposits: int) -> tuple[float, float]:
    """Return milliseconds a line with few invoices in the database, and with a million."""
    async with opened(folder) as counter:
        few = await _cost_of_lines(counter, deposits, 0)
        connection = await asyncpg.connect(counter.database)
        await connection.execute(FILL, GROWN, timeout=600)
        await connection.execute("VACUUM ANALYZE invoice", timeout=600)
        await connection.close()
        many = await _cost_of_lines(counter, deposits, deposits * BATCH)
    return few, many


async def _cost_of_lines(counter: Counter, deposits: int, first: int) -> float:
    bodies = [ndjson(BATCH, first + BATCH * number) for number in range(deposits)]
    costs = []
    for body in bodies:
        started = time.perf_counter()
        await counter.deposit(body, "CANTINE")
        costs.append(1000 * (time.perf_counter() - started) / BATCH)
    # The middle one: a checkpoint or a neighbour may slow a single deposit.
    return sorted(costs)[len(costs) // 2]
