"""What each part of publishing costs alone, on one core: the limit of the whole."""

import hashlib
import os
import socket
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import uuid4

import msgspec

from demo.postgres import EmbeddedPostgres
from publication.adapters import jobs, paper, pdf_check, pdf_stamp, qr
from publication.adapters.jobs import Limits, Place
from publication.store import PostgresFolders
from shared import envelope, postgres
from shared.events import InvoiceGenerated
from shared.events.invoice_generated import Payer

ROOT = Path(__file__).resolve().parents[1]
REPETITIONS = 100


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What one part costs for one invoice, in milliseconds."""

    name: str
    milliseconds: float

    @property
    def per_second(self) -> float:
        """How many one core makes in a second."""
        return 1000 / self.milliseconds


def an_invoice(number: int) -> InvoiceGenerated:
    """Return an invoice to publish."""
    return InvoiceGenerated(
        invoice_id=uuid4(),
        version=1,
        deposit_id=uuid4(),
        authority="saint-aubin",
        authority_name="Ville de Saint-Aubin",
        regie="CANTINE",
        regie_label="Restauration scolaire",
        number=f"B{number}",
        kind="invoice",
        route="regie",
        subject="Restauration scolaire",
        issued_on=date(2026, 11, 1),
        due_on=date(2026, 12, 1),
        amount_cents=4100,
        currency="EUR",
        payer=Payer(reference="FAM-1", name="Camille Martin"),
        generated_at=datetime.now(UTC),
    )


def _cost(name: str, deed: Callable[[], object]) -> Cost:
    deed()
    started = time.process_time()
    for _ in range(REPETITIONS):
        deed()
    spent = time.process_time() - started
    return Cost(name=name, milliseconds=1000 * spent / REPETITIONS)


def paper_costs(pdf: bytes) -> list[Cost]:
    """Return what checking, coding, stamping and hashing one PDF cost."""
    url = "https://factures.example.fr/q/" + "a" * 22
    code = qr.make(url)
    layout = pdf_check.check(pdf, Limits()).layout
    first = pdf_stamp.stamp(pdf, code, authority="Ville", is_payable=True)
    place: Place | None = first.place

    def stamp() -> object:
        return pdf_stamp.stamp(pdf, code, authority="Ville", is_payable=True, earlier=place)

    job = jobs.PaperJob(
        invoice=an_invoice(0),
        url=url,
        pdf=pdf,
        wanted=None,
        known={layout: place},
        sample=0,
        limits=Limits(),
        seconds=20,
    )
    return [
        _cost("check the PDF", lambda: pdf_check.check(pdf, Limits())),
        _cost("make and read back the QR code", lambda: qr.make(url)),
        _cost("find its place, stamp, save", stamp),
        _cost("hash in and out", lambda: (_hash(pdf), _hash(first.content))),
        _cost("(all of the paper in one call)", lambda: paper.make(job)),
    ]


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def row_cost(folder: Path) -> Cost:
    """Return what one invoice's rows cost: one transaction with folder and outbox, wall time."""
    async with EmbeddedPostgres(folder, port=free_port()) as server:
        url = await server.create_database("bench", role="bench", password="b" * 20, fresh=True)
        package = ROOT / "services" / "publication" / "src" / "publication"
        await postgres.migrate(url, postgres.all_migrations("publication", package))
        database = await postgres.Database.connect(url, size=2, service="bench")
        records = [_message(number) for number in range(REPETITIONS + 1)]
        started = 0.0
        for number, message in enumerate(records):
            if number == 1:
                started = time.perf_counter()
            async with database.transaction() as transaction:
                await transaction.accept([message])
                await PostgresFolders(transaction.connection).keep_requests([message])
                await transaction.publish([message.data])
        spent = time.perf_counter() - started
        await database.close()
    return Cost(name="rows, one transaction each", milliseconds=1000 * spent / REPETITIONS)


def _message(number: int) -> envelope.Message[InvoiceGenerated]:
    invoice = an_invoice(number)
    return envelope.Message(
        id=str(uuid4()),
        source="/quittance/ingestion",
        type=invoice.TYPE,
        subject=invoice.key,
        time=datetime.now(UTC),
        traceparent="00-" + os.urandom(16).hex() + "-" + os.urandom(8).hex() + "-01",
        causation_id=None,
        data=invoice,
    )


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
