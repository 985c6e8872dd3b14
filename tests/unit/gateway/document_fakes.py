"""What publication and reconciliation tell of documents, played for the gateway's tests."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from gateway.ports import (
    DocumentPages,
    PageSize,
    Picture,
    Receipts,
    ReceiptView,
    RefusedError,
    ServiceUnavailableError,
    StatementDemand,
)

ISSUED_AT = datetime(2026, 11, 24, 13, 6, tzinfo=UTC)


class FakeDocuments:
    """Two pages for each document; a quittance for the payments in `receipted`."""

    def __init__(self) -> None:
        self.documents_refuse: RefusedError | None = None
        self.documents_are_down = False
        self.document_pages = DocumentPages(
            pages=(
                PageSize(number=1, width=1200, height=1697),
                PageSize(number=2, width=1200, height=1697),
            ),
            text=("Facture\nTotal <41,50 €>", ""),
        )
        self.picture_bytes = b"RIFF a picture"
        self.pictured: list[tuple[UUID, int, int, str]] = []
        self.receipted: dict[UUID, int] = {}
        self.receipts_asked: list[tuple[UUID, tuple[UUID, ...], bool]] = []
        self.statements_asked: list[StatementDemand] = []

    async def pages(self, invoice_id: UUID) -> DocumentPages:
        self._tell()
        return self.document_pages

    async def picture(self, invoice_id: UUID, number: int, width: int, known: str) -> Picture:
        self._tell()
        self.pictured.append((invoice_id, number, width, known))
        if number > len(self.document_pages.pages):
            raise RefusedError(404, {"code": "unknown-page"})
        etag = f'"{invoice_id.int}-{number}-{width}"'
        return Picture(etag=etag, content=None if known == etag else self.picture_bytes)

    async def receipts(self, payment_id: UUID) -> Receipts:
        self._tell()
        if payment_id not in self.receipted:
            return Receipts()
        view = ReceiptView(
            payment_id=payment_id,
            number="CANTINE-2026-000001",
            amount_cents=self.receipted[payment_id],
            returned_cents=0,
            issued_at=ISSUED_AT,
        )
        return Receipts(items=(view,))

    async def receipt(
        self, payment_id: UUID, invoice_ids: Sequence[UUID], *, is_named: bool
    ) -> bytes:
        self._tell()
        self.receipts_asked.append((payment_id, tuple(invoice_ids), is_named))
        if payment_id not in self.receipted:
            raise RefusedError(404, {"code": "unknown-receipt"})
        return b"%PDF-1.7 a quittance"

    async def statement(self, demand: StatementDemand) -> bytes:
        self._tell()
        self.statements_asked.append(demand)
        return b"%PDF-1.7 an attestation"

    def _tell(self) -> None:
        if self.documents_are_down:
            raise ServiceUnavailableError
        if self.documents_refuse is not None:
            raise self.documents_refuse
