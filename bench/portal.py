"""How many pages a second the portal serves with a million invoices, beside a bare handler."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

import aiohttp
import asyncpg
import msgspec

from bench.alone import free_port
from bench.hammer import Counted, Round
from bench.paying import AT_ONCE, Percentiles
from bench.whole import an_invoice
from demo.biller import Biller
from demo.town import Town
from tests.journeys.browser.people import pay_from_paper

INVOICES = 1_000_000
PEOPLE = 80_000
"""Twelve invoices each, and some for nobody: what a list shows."""
ROUNDS = 3
ASKED = 200
"""Different pages and people that are asked in turn."""

# Each payer has an account.
FILL_PORTAL = """
INSERT INTO invoice (invoice_id, authority, authority_name, regie, regie_label, number, version,
    kind, route, subject, issued_on, due_on, amount_cents, payer_name, payer_email, token_sha256,
    published_at, readable_until)
SELECT md5('invoice' || n)::uuid, 'saint-aubin', 'Ville de Saint-Aubin', 'CANTINE',
    'Restauration scolaire', 'BENCH-' || n, 1, 'invoice', 'regie',
    'Restauration scolaire, octobre', current_date - 20, current_date + (n % 40) - 10,
    1000 + n % 9000, 'Camille Martin', 'payer' || n % $2 || '@example.org',
    sha256(convert_to('bench-token-' || lpad(n::text, 10, '0'), 'UTF8')), now(),
    current_date + 60
FROM generate_series(0, $1 - 1) AS n
"""
FILL_PEOPLE = """
INSERT INTO account (account_id, email, password_hash, verified_at, created_at)
SELECT md5('account' || n)::uuid, 'payer' || n || '@example.org', '', now(), now()
FROM generate_series(0, $1 - 1) AS n
"""
FILL_SESSIONS = """
INSERT INTO session (session_sha256, account_id, created_at, seen_at)
SELECT sha256(convert_to('bench-session-' || n, 'UTF8')), md5('account' || n)::uuid, now(), now()
FROM generate_series(0, $1 - 1) AS n
"""
FILL_PAYMENT = """
INSERT INTO invoice (invoice_id, authority, regie, number, version, kind, route, amount_cents,
    published_at)
SELECT md5('invoice' || n)::uuid, 'saint-aubin', 'CANTINE', 'BENCH-' || n, 1, 'invoice', 'regie',
    1000 + n % 9000, now()
FROM generate_series(0, $1 - 1) AS n
"""


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """A page measured: answers a second and their times, beside those of the bare handler."""

    page: str
    per_second: float
    answered: Percentiles
    bare_per_second: float
    bare_answered: Percentiles
    body_bytes: int

    @property
    def share(self) -> float:
        """What is left of the bare handler's speed."""
        return self.per_second / self.bare_per_second


async def fill(town: Town, invoices: int) -> None:
    """Put invoices, people and sessions into the databases of the portal and of payment."""

    async def run(service: str, *statements: tuple[str, list[int]]) -> None:
        connection = await asyncpg.connect(town.database_of(service))
        for statement, values in statements:
            await connection.execute(statement, *values)
        await connection.execute("VACUUM (ANALYZE)")
        await connection.close()

    people = min(PEOPLE, invoices)
    await asyncio.gather(
        run(
            "gateway",
            (FILL_PORTAL, [invoices, people]),
            (FILL_PEOPLE, [people]),
            (FILL_SESSIONS, [ASKED]),
        ),
        run("payment", (FILL_PAYMENT, [invoices])),
    )


async def measure(
    folder: Path, say: Callable[[str], None], *, invoices: int = INVOICES
) -> list[Served]:
    """Return what `/q/` and the list do at fifty at once."""
    async with Town(folder, progress=lambda _line: None) as town:
        await fill(town, invoices)
        tokens = await _papers(town)
        cookies = tuple(f"session=bench-session-{n}" for n in range(ASKED))
        base = town.url("portal")
        found = []
        for page, asked in (
            ("paper", Round(base=base, paths=tokens, at_once=AT_ONCE)),
            ("list", Round(base=base, paths=("/factures",), cookies=cookies, at_once=AT_ONCE)),
        ):
            async with _bare(page, town.database_of("gateway")) as bare_base:
                bare = Round(base=bare_base, paths=("/",), at_once=AT_ONCE)
                # In turns, so that what else the machine does meets both.
                rounds = [(await _hammered(asked), await _hammered(bare)) for _ in range(ROUNDS)]
            served = Served(
                page=page,
                per_second=median(_rate(ours) for ours, _ in rounds),
                answered=Percentiles.of([one for ours, _ in rounds for one in ours.seconds]),
                bare_per_second=median(_rate(theirs) for _, theirs in rounds),
                bare_answered=Percentiles.of([one for _, bare in rounds for one in bare.seconds]),
                body_bytes=rounds[0][0].body_bytes,
            )
            say(
                f"  {page:<8} {served.per_second:6.0f}/s of {served.bare_per_second:6.0f}/s"
                f" = {served.share:.2f}; {served.answered} (bare: {served.bare_answered});"
                f" {served.body_bytes} bytes"
            )
            found.append(served)
        say(f"  from the open scanner to the paid invoice: {await _from_paper(town, folder):.1f} s")
        say(f"  first view of the paper's page: {await first_view(base + tokens[0])} bytes")
    return found


async def _papers(town: Town) -> tuple[str, ...]:
    """Publish invoices as a biller does, so that the papers asked for have their documents."""
    async with aiohttp.ClientSession() as session:
        biller = Biller(town.endpoints(), session)
        await biller.log_in()
        receipt = await biller.deposit_json([an_invoice(f"PAPER-{n}") for n in range(ASKED)])
        states = [
            await biller.wait_published(line["invoice_id"])
            for line in await biller.lines(receipt["deposit_id"])
        ]
    return tuple("/q/" + state["public_url"].rpartition("/")[2] for state in states)


async def _from_paper(town: Town, folder: Path) -> float:
    """Return the seconds that scanning and paying a printed invoice takes, in a real browser."""
    async with aiohttp.ClientSession() as session:
        biller = Biller(town.endpoints(), session)
        await biller.log_in()
        receipt = await biller.deposit_json([an_invoice("FROM-PAPER")])
        [line] = await biller.lines(receipt["deposit_id"])
        state = await biller.wait_published(line["invoice_id"])
        paper = await biller.print_file(line["invoice_id"])
    return await pay_from_paper(town, paper, state["public_url"], folder)


async def first_view(url: str) -> int:
    """Return the bytes that a browser receives for a page and the files that it names."""
    async with aiohttp.ClientSession(auto_decompress=False) as session:

        async def size(address: str) -> tuple[int, str]:
            async with session.get(address, headers={"Accept-Encoding": "gzip"}) as answer:
                body = await answer.read()
                return len(body), body.decode("utf-8", "replace")

        total, html = await size(url)
        origin = url.partition("/q/")[0]
        for part in html.split('"'):
            if part.startswith("/static/"):
                total += (await size(origin + part.replace("&amp;", "&")))[0]
    return total


def _rate(counted: Counted) -> float:
    return len(counted.seconds) / counted.elapsed


async def _hammered(asked: Round) -> Counted:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.hammer",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate(msgspec.json.encode(asked))
    if process.returncode:
        message = "the client failed: see above"
        raise RuntimeError(message)
    return msgspec.json.decode(output, type=Counted)


@asynccontextmanager
async def _bare(page: str, database_url: str) -> AsyncIterator[str]:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.bare_page",
        page,
        str(port),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "DATABASE_URL": database_url},
    )
    try:
        if process.stdout is None or b"listening" not in await process.stdout.readline():
            message = "the bare handler did not start"
            raise RuntimeError(message)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()
