"""`python -m bench [--only flow|reading|portal]`: prints the figures, keeps them as JSON."""

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import msgspec

from bench.alone import paper_costs, row_cost
from bench.paying import NOTICES_PER_SECOND, Paying, Till
from bench.portal import measure as measure_pages
from bench.reading import flatness, readings
from bench.whole import Sink, logged_in, lone_delays, throughput
from demo.samples import SAMPLES
from demo.town import Town
from tests.broker.kafka import JARS, ApacheKafka

RESULTS = Path(__file__).parent / "results" / "latest.json"
DEPOSITS_OF_A_THOUSAND = 21
PAYMENTS = 300
SAMPLE = SAMPLES / "EN16931_Einfach.pdf"


def _say(line: str) -> None:
    print(line, flush=True)


def _progress(line: str) -> None:
    if sys.stdout.isatty():
        print(f"\r  {line:<40}", end="", flush=True)


def _say_paying(paying: Paying) -> None:
    _say(f"paying by card, {PAYMENTS} payments:")
    for name, found in (
        ("the bare library makes a form", paying.bare_form),
        ("start of a payment, one at a time", paying.start),
        ("start of a payment, fifty at once", paying.start_of_fifty),
        (f"notice answered, {NOTICES_PER_SECOND}/s", paying.notice),
        ("notice to payment.captured", paying.captured),
        ("captured to the biller's feed", paying.collected),
        ("captured to the receipt at SMTP", paying.receipted),
    ):
        _say(f"  {name:<34} {found}")


async def _measure_reading(lines: int) -> dict[str, object]:
    folder = Path(tempfile.mkdtemp(prefix="quittance-bench-"))
    _say(f"large deposits of data, {lines} lines, read and recorded:")
    found = await readings(folder / "files", lines, _say)
    few, many = await flatness(folder / "growth", DEPOSITS_OF_A_THOUSAND)
    _say(
        f"  a line of a deposit of 1000: {few:.3f} ms with few invoices held,"
        f" {many:.3f} ms with a million ({many / few:.2f} times)"
    )
    shutil.rmtree(folder, ignore_errors=True)
    return {
        "readings": found,
        "line_milliseconds_few": few,
        "line_milliseconds_a_million": many,
    }


async def _measure_flow(invoices: int, lone: int) -> dict[str, object]:
    pdf = SAMPLE.read_bytes()
    folder = Path(tempfile.mkdtemp(prefix="quittance-bench-"))
    cores = os.cpu_count() or 1
    *parts, together = paper_costs(pdf)
    rows = await row_cost(folder / "rows")
    limit = cores * 1000 / sum(cost.milliseconds for cost in (*parts, rows))
    _say(f"one invoice of {len(pdf) // 1024} kB, alone, on one of {cores} cores:")
    for cost in (*parts, rows, together):
        _say(f"  {cost.name:<34} {cost.milliseconds:7.2f} ms {cost.per_second:9.0f}/s")
    _say(f"  limit: cores / sum of the costs   {limit:18.0f}/s")
    sink = Sink()
    sink.start()
    async with AsyncExitStack() as stack:
        servers = None
        if JARS.is_dir():
            kafka = await stack.enter_async_context(ApacheKafka())
            servers = kafka.bootstrap_servers
        _say(f"the whole flow, on {'Apache Kafka' if servers else 'the embedded broker'}:")
        town = await stack.enter_async_context(
            Town(
                folder / "town",
                progress=lambda _line: None,
                kafka_servers=servers,
                overrides={"notification": {"SMTP_PORT": str(sink.port)}},
            )
        )
        session = await stack.enter_async_context(aiohttp.ClientSession())
        biller = await logged_in(town, session)
        await throughput(town, biller, pdf, 100, _progress)
        await biller.log_in()
        delays = await lone_delays(biller, sink, lone)
        await biller.log_in()
        rate = await throughput(town, biller, pdf, invoices, _progress, first=100)
        await biller.log_in()
        paying = await Till(town, session, sink).measure(biller, PAYMENTS)
    sink.stop()
    shutil.rmtree(folder, ignore_errors=True)
    p50, p99 = delays[len(delays) // 2], delays[min(len(delays) - 1, int(len(delays) * 0.99))]
    _say(f"  deposit to published              {rate:18.0f}/s  {rate / limit:.2f} of the limit")
    _say(f"  lone invoice, POST to SMTP: p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms")
    _say_paying(paying)
    return {
        "paying": paying,
        "broker": "apache" if servers else "embedded",
        "costs": [*parts, rows, together],
        "limit_per_second": limit,
        "published_per_second": rate,
        "share_of_limit": rate / limit,
        "lone_p50_seconds": p50,
        "lone_p99_seconds": p99,
    }


async def _measure_portal(invoices: int) -> dict[str, object]:
    folder = Path(tempfile.mkdtemp(prefix="quittance-bench-"))
    _say(f"pages, fifty at once, with {invoices} invoices:")
    found = await measure_pages(folder / "town", _say, invoices=invoices)
    shutil.rmtree(folder, ignore_errors=True)
    return {"pages": found}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--invoices", type=int, default=1000)
    parser.add_argument("--lone", type=int, default=100)
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--shown", type=int, default=1_000_000)
    parser.add_argument("--only", choices=("flow", "reading", "portal"))
    arguments = parser.parse_args()
    result: dict[str, object] = {"measured_at": datetime.now(UTC), "cores": os.cpu_count()}
    if arguments.only in (None, "flow"):
        result |= asyncio.run(_measure_flow(arguments.invoices, arguments.lone))
    if arguments.only in (None, "reading"):
        result |= asyncio.run(_measure_reading(arguments.lines))
    if arguments.only in (None, "portal"):
        result |= asyncio.run(_measure_portal(arguments.shown))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=2))
    _say(f"kept in {RESULTS.relative_to(Path.cwd())}")


if __name__ == "__main__":
    main()
