"""Ingestion with a real database and real reading processes, its outbox in place of the broker."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from aiohttp.test_utils import TestServer

import ingestion
from demo import ports
from demo.postgres import EmbeddedPostgres
from ingestion.app import DATABASE_OPTIONS, Wiring
from ingestion.settings import Settings
from ingestion.store.deposits import PostgresDeposits
from shared import postgres
from shared.auth import Principal
from shared.clock import FixedClock
from shared.events import InvoiceGenerated
from shared.events.authority_configured import AuthorityConfigured, KafkaBiller, Regie
from shared.http import create_application
from shared.postgres import Database
from shared.storage import Storage

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
REGIES = ("CANTINE", "MUSIQUE", "LOYERS")
EMPTY = """
TRUNCATE deposit, deposit_line, invoice, held_invoice, column_mapping, outbox, kafka_biller,
    authority, regie
"""


class Callers:
    """Tells who calls by the token itself: `biller` is the town's, `stranger` another town's."""

    async def authenticate(self, token: str) -> Principal:
        """Return the caller that the token names."""
        authority = "val-de-brume" if token == "stranger" else "saint-aubin"
        regies = ("CANTINE",) if token == "canteen" else (*REGIES, "EAU")
        return Principal(
            subject=token,
            authority=authority,
            regies=regies,
            scopes=frozenset({"deposits:write", "deposits:read"}),
        )


class Office:
    """A running ingestion, and a biller that speaks to it over HTTP."""

    def __init__(
        self, wiring: Wiring, database: Database, storage: Path, clock: FixedClock
    ) -> None:
        """Keep the parts; `counter` opens one."""
        self.wiring = wiring
        self.database = database
        self.storage = storage
        self.clock = clock
        self.url = ""
        self.session: aiohttp.ClientSession

    async def post(
        self,
        body: Any,
        *,
        query: dict[str, str] | None = None,
        token: str = "biller",
        headers: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, Any]]:
        """Deposit a body; return status and answer."""
        async with self.session.post(
            f"{self.url}/v1/deposits",
            data=body,
            params=query or {},
            headers={"Authorization": f"Bearer {token}"} | (headers or {}),
        ) as answer:
            return answer.status, await answer.json(content_type=None)

    async def call(
        self, method: str, path: str, *, token: str = "biller", body: Any = None
    ) -> tuple[int, dict[str, Any]]:
        """Call a door; return status and answer."""
        async with self.session.request(
            method,
            f"{self.url}{path}",
            json=body,
            headers={"Authorization": f"Bearer {token}"},
        ) as answer:
            return answer.status, await answer.json(content_type=None)

    async def lines(self, deposit_id: str) -> list[dict[str, Any]]:
        """Return the lines of a deposit."""
        _, page = await self.call("GET", f"/v1/deposits/{deposit_id}/lines")
        lines: list[dict[str, Any]] = page["lines"]
        return lines

    async def events(self) -> list[InvoiceGenerated]:
        """Return what waits to be sent, oldest first."""
        async with self.database.reading() as connection:
            rows = await connection.fetch(
                "SELECT value FROM outbox WHERE type = 'invoice.generated.v1' ORDER BY id"
            )
        return [msgspec.json.decode(row["value"], type=InvoiceGenerated) for row in rows]

    def stored(self) -> list[str]:
        """Return the names of what is in the store."""
        return sorted(path.name for path in self.storage.rglob("*") if path.is_file())

    async def empty(self) -> None:
        """Forget everything but the authorities."""
        for path in self.storage.rglob("*.pdf"):
            path.unlink()
        async with self.database.reading() as connection:
            await connection.execute(EMPTY)
            deposits = PostgresDeposits(connection)
            for authority in ("saint-aubin", "val-de-brume"):
                await deposits.keep_authority(_authority(authority))


def _authority(name: str) -> AuthorityConfigured:
    return AuthorityConfigured(
        authority=name,
        name="Ville de Saint-Aubin",
        regies=(
            *(Regie(code=code, label=code.title(), route="regie") for code in REGIES),
            Regie(code="EAU", label="Eau", route="treasury"),
        ),
        revision=1,
        configured_at=NOW,
        billers=(KafkaBiller(client_id="canteen-office", regies=("CANTINE",)),)
        if name == "saint-aubin"
        else (),
    )


@asynccontextmanager
async def a_database(folder: Path) -> AsyncIterator[str]:
    """Return the address of an empty database with ingestion's tables."""
    async with EmbeddedPostgres(folder, port=ports.choose()["database"]) as server:
        url = await server.create_database(
            "ingestion", role="ingestion", password="b" * 20, fresh=True
        )
        package = Path(ingestion.__file__).parent
        await postgres.migrate(url, postgres.all_migrations("ingestion", package))
        yield url


@asynccontextmanager
async def counter(folder: Path, url: str | None = None) -> AsyncIterator[Office]:
    """Open ingestion, on a database of its own unless `url` names one."""
    async with AsyncExitStack() as stack:
        if url is None:
            url = await stack.enter_async_context(a_database(folder / "postgres"))
        clock = FixedClock(NOW)
        database = await Database.connect(
            url, size=8, service="ingestion", clock=clock, options=DATABASE_OPTIONS
        )
        stack.push_async_callback(database.close)
        settings = Settings(
            database_url=url,
            kafka_bootstrap_servers="",
            http_port=0,
            storage_url=f"file://{folder / 'storage'}",
            jwks_url="",
            token_issuer="",
            publication_url="http://127.0.0.1:9",
            instance_name="ingestion-1",
        )
        wiring = Wiring(settings, database, Storage(settings.storage_url), clock)
        stack.callback(wiring.reader.close)
        office = Office(wiring, database, folder / "storage", clock)
        office.session = await stack.enter_async_context(aiohttp.ClientSession())
        application = create_application(
            "ingestion",
            wiring.operations(office.session),
            authenticator=Callers(),
            maximum_body_bytes=settings.deposit_maximum_bytes,
        )
        site = TestServer(application)
        await site.start_server()
        stack.push_async_callback(site.close)
        office.url = str(site.make_url("")).rstrip("/")
        await office.empty()
        yield office


def an_invoice(number: str = "F-1", **changes: Any) -> dict[str, Any]:
    """Return an invoice as a biller writes it."""
    return {
        "regie": "CANTINE",
        "number": number,
        "issued_on": "2026-11-01",
        "due_on": "2026-12-01",
        "amount_cents": 4100,
        "currency": "EUR",
        "subject": "Restauration scolaire",
        "route": "regie",
        "payer": {"reference": "FAM-1", "name": "Camille Martin"},
    } | changes


def a_deposit(*invoices: dict[str, Any]) -> bytes:
    """Return the JSON of a deposit."""
    return json.dumps({"invoices": invoices}).encode()
