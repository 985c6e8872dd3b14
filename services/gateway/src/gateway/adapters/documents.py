"""Documents, asked of publication; quittances and attestations, asked of reconciliation."""

from collections.abc import Sequence
from uuid import UUID

import aiohttp

from gateway.adapters.calls import QUICK, Calls, read_bounded
from gateway.ports import (
    DocumentPages,
    Picture,
    Receipts,
    ServiceUnavailableError,
    StatementDemand,
)

LONGEST_PICTURE_BYTES = 4 * 1024 * 1024
LONGEST_PDF_BYTES = 8 * 1024 * 1024
"""A quittance has some thirty kilobytes, an attestation of a thousand payments less than two MB."""
PICTURE_TIMEOUT = aiohttp.ClientTimeout(total=20, connect=3)
"""A page that takes its whole processor time, behind others that do."""


class DocumentCalls(Calls):
    """See `ports.DocumentServices`."""

    _publication_url: str
    _reconciliation_url: str

    async def pages(self, invoice_id: UUID) -> DocumentPages:
        """Return the pages of a published PDF."""
        address = f"{self._publication_url}/v1/invoices/{invoice_id}/pages"
        return await self._call("GET", address, DocumentPages, timeout=QUICK)

    async def picture(self, invoice_id: UUID, number: int, width: int, known: str) -> Picture:
        """Return the picture of a page, unless `known` is its name."""
        address = f"{self._publication_url}/v1/invoices/{invoice_id}/pages/{number}.webp"
        async with self._answer(
            "GET",
            address,
            query={"width": str(width)},
            headers={"If-None-Match": known} if known else None,
            timeout=PICTURE_TIMEOUT,
        ) as answer:
            etag = answer.headers.get("ETag", "")
            if answer.status == 304:
                return Picture(etag=etag)
            return Picture(etag=etag, content=await read_bounded(answer, LONGEST_PICTURE_BYTES))

    async def receipts(self, payment_id: UUID) -> Receipts:
        """Return the quittances of a payment."""
        address = f"{self._reconciliation_url}/v1/receipts"
        query = {"payment_id": str(payment_id)}
        return await self._call("GET", address, Receipts, query=query, timeout=QUICK)

    async def receipt(
        self, payment_id: UUID, invoice_ids: Sequence[UUID], *, is_named: bool
    ) -> bytes:
        """Return the quittance of a payment as PDF, of these invoices alone."""
        address = f"{self._reconciliation_url}/v1/payments/{payment_id}/receipt.pdf"
        query = {
            "invoice_ids": ",".join(str(invoice_id) for invoice_id in invoice_ids),
            "named": "true" if is_named else "false",
        }
        async with self._answer("GET", address, query=query) as answer:
            return await self._pdf(answer)

    async def statement(self, demand: StatementDemand) -> bytes:
        """Return an attestation of what was paid, as PDF."""
        address = f"{self._reconciliation_url}/v1/statements"
        async with self._answer("POST", address, body=demand) as answer:
            return await self._pdf(answer)

    async def _pdf(self, answer: aiohttp.ClientResponse) -> bytes:
        content = await read_bounded(answer, LONGEST_PDF_BYTES)
        if not content.startswith(b"%PDF-"):
            message = f"no PDF from {answer.url}"
            raise ServiceUnavailableError(message)
        return content
