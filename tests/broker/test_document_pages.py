"""Pictures of pages on publication's own database and store: shown for 90 days, then erased."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

import publication
from demo import ports
from demo.postgres import EmbeddedPostgres
from publication.adapters import page_pictures
from publication.api.pages import PageDoors
from publication.app import _Folders
from publication.domain import Pages, published_event
from publication.handlers.on_invoice_generated import on_invoice_generated
from publication.handlers.on_invoice_withdrawn import on_invoice_withdrawn
from publication.handlers.show_pages import PageShower
from publication.ports import PublishedPaper
from publication.settings import Settings
from shared import postgres
from shared.auth import Principal
from shared.clock import FixedClock
from shared.envelope import Message
from shared.events import InvoiceGenerated, InvoiceWithdrawn
from shared.http import create_application
from shared.postgres import Database
from shared.storage import Storage
from tests.unit.publication.publication_builders import NOW, a_message, a_pdf, an_invoice

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="module")]

Client: TypeAlias = TestClient[web.Request, web.Application]


class Maker:
    """Draws here: that the press does it in a process of its own is tested beside the press."""

    async def look(self, pdf: bytes, widest: int) -> Pages:
        return page_pictures.look(pdf, widest)

    async def draw(self, pdf: bytes, number: int, width: int) -> bytes:
        return page_pictures.draw(pdf, number, width)


class Tokens:
    async def authenticate(self, token: str) -> Principal:
        return Principal(
            subject="gateway", authority="", regies=(), scopes=frozenset({"documents:read"})
        )


class Office:
    """Publication without its press and its broker."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.folder = folder
        self.storage = Storage(f"file://{folder}")
        self.clock = FixedClock(NOW)
        settings = Settings(
            database_url="",
            kafka_bootstrap_servers="",
            http_port=0,
            storage_url="",
            public_url="",
            jwks_url="",
            token_issuer="",
        )
        self.folders = _Folders(settings, database, self.storage, self.clock)
        shower = PageShower(Maker(), self.storage, self.folders.reading)
        doors = PageDoors(self.folders.reading, pages=shower.pages, picture=shower.picture)
        self.application = create_application(
            "publication", doors.operations(), authenticator=Tokens()
        )
        self.client: Client

    async def publish(self, invoice: InvoiceGenerated, *texts: str) -> None:
        async with self.folders.open_unit() as unit:
            await on_invoice_generated([a_message(invoice)], unit.folders)
        key = f"published/{invoice.invoice_id}/v{invoice.version}/facture.pdf"
        file = await self.storage.put(key, a_pdf(*texts))
        event = published_event(
            invoice, token=str(invoice.invoice_id), document=file, at=NOW, readable_days=90
        )
        paper = PublishedPaper(event=event, deposit_id=invoice.deposit_id, printed=file, pages=1)
        async with self.folders.open_unit() as unit:
            await unit.folders.publish([paper])

    async def purge(self) -> None:
        """Do once what the clock does."""
        await self.folders._purge()

    async def get(self, invoice: InvoiceGenerated, path: str = "") -> tuple[int, bytes]:
        answer = await self.client.get(
            f"/v1/invoices/{invoice.invoice_id}/pages{path}", headers={"Authorization": "Bearer x"}
        )
        return answer.status, await answer.read()

    def files(self) -> list[str]:
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return sorted(str(path.relative_to(self.folder)) for path in found)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def database(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Database]:
    """Return a database of publication's own, migrated as the service does it."""
    folder = tmp_path_factory.mktemp("publication")
    async with EmbeddedPostgres(folder, port=ports.choose()["database"]) as server:
        url = await server.create_database("publication", role="publication", password="p")
        steps = postgres.all_migrations("publication", Path(publication.__file__).parent)
        await postgres.migrate(url, steps)
        opened = await Database.connect(url, size=8, service="publication")
        yield opened
        await opened.close()


@pytest_asyncio.fixture(loop_scope="module")
async def office(database: Database, tmp_path: Path) -> AsyncIterator[Office]:
    async with database.reading() as connection:
        await connection.execute("TRUNCATE folder, deposit_part, print_run, discarded_object")
    office = Office(database, tmp_path / "store")
    async with TestClient(TestServer(office.application)) as client:
        office.client = client
        yield office


async def test_pictures_end_with_the_ninetieth_day(office: Office) -> None:
    """Design rule 3: file, pictures and texts are erased together; the door says why."""
    invoice, other = an_invoice(1), an_invoice(2)
    await office.publish(invoice, "one", "two")
    await office.publish(other, "another")
    shown = [await office.get(invoice, path) for path in ("", "/1.webp", "/2.webp?width=1200")]
    office.clock.advance(timedelta(days=90))
    await office.purge()
    last_day = await office.get(invoice, "/1.webp")
    kept = office.files()

    office.clock.advance(timedelta(days=1))
    await office.purge()

    assert [status for status, _ in shown] == [200, 200, 200]
    assert last_day == shown[1]
    assert kept == [
        f"published/{invoice.invoice_id}/v1/facture-pages/{name}"
        for name in ("1-800.webp", "2-1200.webp", "pages.json")
    ] + [f"published/{one.invoice_id}/v1/facture.pdf" for one in (invoice, other)]
    assert office.files() == []
    for path in ("", "/1.webp"):
        status, body = await office.get(invoice, path)
        assert status == 410
        assert b"document-expired" in body


async def test_pictures_end_with_a_withdrawal(office: Office) -> None:
    """At once for the reader; the files go with the next purge."""
    invoice = an_invoice(1)
    await office.publish(invoice, "one")
    await office.get(invoice, "/1.webp")
    withdrawn = InvoiceWithdrawn(
        invoice_id=invoice.invoice_id,
        version=1,
        authority=invoice.authority,
        regie=invoice.regie,
        number=invoice.number,
        reason="doublon",
        withdrawn_at=NOW,
    )
    message = Message(
        id="1",
        source="ingestion",
        type=withdrawn.TYPE,
        subject=withdrawn.key,
        time=NOW,
        traceparent="",
        causation_id=None,
        data=withdrawn,
    )

    async with office.folders.open_unit() as unit:
        await on_invoice_withdrawn([message], unit.folders)
    status, body = await office.get(invoice, "/1.webp")
    await office.purge()

    assert (status, b"invoice-withdrawn" in body) == (410, True)
    assert office.files() == []


async def test_a_corrected_invoice_shows_its_own_pages(office: Office) -> None:
    """The pictures of the version before are erased with its file, and never shown for it."""
    invoice, corrected = an_invoice(1), an_invoice(1, version=2)
    await office.publish(invoice, "before")
    before = await office.get(invoice)
    await office.publish(corrected, "after", "and a second page")

    after = await office.get(corrected)
    await office.purge()

    assert b"before" in before[1]
    assert b"before" not in after[1]
    assert b"and a second page" in after[1]
    assert office.files() == [
        f"published/{invoice.invoice_id}/v2/facture-pages/pages.json",
        f"published/{invoice.invoice_id}/v2/facture.pdf",
    ]
