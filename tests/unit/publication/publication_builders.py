"""What the tests of publication build: letters, their files, and fakes of what is outside."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from uuid import UUID

import pikepdf
import pypdfium2
import zxingcpp

from publication.domain import Letter
from publication.ports import (
    Manifest,
    PrintRunClaim,
    PrintRunStanding,
    PrintRunState,
    Progress,
)
from shared.envelope import Message
from shared.events import InvoiceGenerated
from shared.events.invoice_generated import Payer, StoredFile
from shared.storage import MissingObjectError

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
DEPOSIT_ID = UUID(int=500)
TOWN = "saint-aubin"
FAMILY = Payer(
    reference="FAM-1", name="Camille Martin", address=("12 rue des Lilas", "59000 LILLE")
)


def an_invoice(number: int = 1, **changes: object) -> InvoiceGenerated:
    """Return an invoice to publish whose payer has no e-mail address."""
    content = {
        "invoice_id": UUID(int=number),
        "version": 1,
        "deposit_id": DEPOSIT_ID,
        "authority": TOWN,
        "authority_name": "Ville de Saint-Aubin",
        "regie": "CANTINE",
        "regie_label": "Restauration scolaire",
        "number": f"2026-{number}",
        "kind": "invoice",
        "route": "regie",
        "subject": "Repas",
        "issued_on": date(2026, 11, 1),
        "due_on": date(2026, 12, 1),
        "amount_cents": 4100,
        "currency": "EUR",
        "payer": FAMILY,
        "generated_at": NOW,
    }
    return InvoiceGenerated(**(content | changes))  # type: ignore[arg-type]


def a_message(invoice: InvoiceGenerated) -> Message[InvoiceGenerated]:
    """Return an invoice as it is heard."""
    return Message(
        id=f"{invoice.invoice_id}-{invoice.version}",
        source="ingestion",
        type=invoice.TYPE,
        subject=invoice.key,
        time=NOW,
        traceparent="",
        causation_id=None,
        data=invoice,
    )


def a_letter(number: int = 1, **changes: object) -> Letter:
    """Return a letter of one page to Lille."""
    content = {
        "invoice_id": UUID(int=number),
        "version": 1,
        "regie": "CANTINE",
        "number": f"2026-{number}",
        "subject": "Repas",
        "payer_reference": f"FAM-{number}",
        "name": "Camille Martin",
        "address": ("12 rue des Lilas", "59000 LILLE"),
        "print_key": f"published/{number}.pdf",
        "pages": 1,
        "size_bytes": 1000,
    }
    return Letter(**(content | changes))  # type: ignore[arg-type]


def a_pdf(*texts: str, ink: bytes = b"") -> bytes:
    """Return a PDF with one page for each text, which stands on it."""
    document = pikepdf.new()
    for text in texts:
        page = document.add_blank_page(page_size=(595, 842))
        page.obj.Resources = pikepdf.Dictionary(Font=pikepdf.Dictionary(F=helvetica()))
        content = b"BT /F 20 Tf 60 400 Td (%s) Tj ET " % text.encode("ascii")
        page.obj.Contents = pikepdf.Stream(document, content + ink)
    return saved(document)


def helvetica() -> pikepdf.Dictionary:
    """Return a font that every reader has."""
    return pikepdf.Dictionary(
        Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica
    )


def saved(document: pikepdf.Pdf) -> bytes:
    """Return a document as a file."""
    output = BytesIO()
    document.save(output)
    return output.getvalue()


def texts_of(content: bytes) -> list[str]:
    """Return what stands on each page, as an independent reader sees it."""
    document = pypdfium2.PdfDocument(content)
    found = [page.get_textpage().get_text_bounded().strip() for page in document]
    document.close()
    return found


def codes_on(content: bytes, page: int) -> list[str]:
    """Return the codes that a telephone reads from a page (from 1)."""
    document = pypdfium2.PdfDocument(content)
    image = document[page - 1].render(scale=3, grayscale=True).to_pil()
    document.close()
    return [barcode.text for barcode in zxingcpp.read_barcodes(image)]


class FakeStorage:
    """An object store in memory."""

    def __init__(self, **files: bytes) -> None:
        self.files: dict[str, bytes] = dict(files)

    async def put(self, key: str, content: bytes) -> StoredFile:
        self.files[key] = content
        return StoredFile(key=key, size_bytes=len(content), sha256="0" * 64)

    async def get(self, key: str) -> bytes:
        if key not in self.files:
            raise MissingObjectError(key)
        return self.files[key]

    async def get_checked(self, file: StoredFile) -> bytes:
        return await self.get(file.key)

    async def get_pieces(self, key: str) -> AsyncIterator[bytes]:
        content = await self.get(key)

        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, len(content), 1000):
                yield content[start : start + 1000]

        return pieces()

    async def put_pieces(self, key: str, pieces: AsyncIterator[bytes]) -> int:
        content = b"".join([piece async for piece in pieces])
        self.files[key] = content
        return len(content)

    async def delete(self, key: str) -> None:
        self.files.pop(key, None)


class FakePrintRuns:
    """The print runs of one deposit, in memory."""

    def __init__(self, *letters: Letter) -> None:
        self.letters_held = list(letters)
        self.parts_held = {(TOWN, "CANTINE"): len(letters)}
        self.progress_held = Progress(waiting=0, published=len(letters), refused=0)
        self.runs: dict[str, PrintRunStanding] = {}
        self.manifests: dict[str, Manifest] = {}
        self.holders: dict[str, str] = {}
        self.attempts: dict[str, int] = {}

    @asynccontextmanager
    async def open(self) -> AsyncIterator["FakePrintRuns"]:
        yield self

    async def parts(self, deposit_id: UUID) -> dict[tuple[str, str], int]:
        return self.parts_held if deposit_id == DEPOSIT_ID else {}

    async def progress(self, deposit_id: UUID, regies: Sequence[str]) -> Progress:
        return self.progress_held

    async def letters(self, deposit_id: UUID, regies: Sequence[str]) -> list[Letter]:
        return [letter for letter in self.letters_held if letter.regie in regies]

    async def find(self, key: str) -> PrintRunStanding | None:
        return self.runs.get(key)

    async def ask(self, key: str, deposit_id: UUID, manifest: Manifest) -> None:
        self.runs.setdefault(key, PrintRunStanding(state=PrintRunState.WANTED))
        self.manifests.setdefault(key, manifest)

    async def forget(self, key: str, state: PrintRunState) -> None:
        if key in self.runs and self.runs[key].state is state:
            del self.runs[key]

    async def claim(
        self, *, instance: str, now: datetime, lease: timedelta, limit: int
    ) -> list[PrintRunClaim]:
        claims = []
        for key, run in self.runs.items():
            if run.state is PrintRunState.WANTED:
                self.holders[key] = instance
                self.attempts[key] = self.attempts.get(key, 0) + 1
                claims.append(
                    PrintRunClaim(
                        key=key, manifest=self.manifests[key], attempts=self.attempts[key]
                    )
                )
        return claims[:limit]

    async def renew(self, key: str, instance: str, until: datetime) -> bool:
        return self._is_held(key, instance)

    async def made(self, key: str, instance: str, size_bytes: int) -> bool:
        if not self._is_held(key, instance):
            return False
        self.runs[key] = PrintRunStanding(state=PrintRunState.MADE, size_bytes=size_bytes)
        return True

    async def failed(self, key: str, instance: str, failure: str) -> None:
        self.runs[key] = PrintRunStanding(state=PrintRunState.FAILED, failure=failure)

    def _is_held(self, key: str, instance: str) -> bool:
        run = self.runs.get(key)
        return (
            run is not None
            and run.state is PrintRunState.WANTED
            and self.holders.get(key) == instance
        )
