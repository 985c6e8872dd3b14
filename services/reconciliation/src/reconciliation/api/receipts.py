"""The doors of quittances: for the portal, which knows who may see which invoice."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from aiohttp import web

from reconciliation.domain.receipt_ports import OpenReceipts, Printer
from reconciliation.domain.receipts import Receipt
from shared.clock import Clock
from shared.http import Operation, ProblemError, json_response, principal, read_json

PDF = "application/pdf"
SCOPE = "receipts:read"
MOST_INVOICES = 1000
YEARS = range(2000, 2100)


class ReceiptItem(msgspec.Struct, frozen=True, kw_only=True):
    """A quittance; all of its sum that went back makes it void."""

    payment_id: UUID
    number: str
    authority: str
    regie: str
    amount_cents: int
    returned_cents: int
    means: str
    paid_at: datetime
    issued_at: datetime
    invoice_ids: tuple[UUID, ...]


class ReceiptList(msgspec.Struct, frozen=True, kw_only=True):
    """The quittances of a payment: one for each régie, none on the treasury's route."""

    items: tuple[ReceiptItem, ...]


class StatementDemand(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an attestation lists: payments of a year in France, of one authority, for invoices."""

    authority: str
    year: int
    invoice_ids: Annotated[tuple[UUID, ...], msgspec.Meta(min_length=1, max_length=MOST_INVOICES)]


class ReceiptDoors:
    """The operations of quittances."""

    def __init__(self, open_receipts: OpenReceipts, printer: Printer, clock: Clock) -> None:
        """Read through `open_receipts`, set with `printer`."""
        self._open = open_receipts
        self._printer = printer
        self._clock = clock

    async def get_receipts(self, request: web.Request) -> web.Response:
        """Return the quittances of a payment."""
        found = await self._found(request, request.query.get("payment_id", ""))
        return json_response(ReceiptList(items=tuple(_item(receipt) for receipt in found)))

    async def get_pdf(self, request: web.Request) -> web.Response:
        """Return a payment's quittance as PDF, of the invoices that are asked for alone."""
        found = await self._found(request, request.match_info["payment_id"])
        asked = request.query.get("invoice_ids")
        wanted = _ids(asked) if asked is not None else None
        for receipt in found:
            shown = receipt if wanted is None else receipt.about(wanted)
            if shown is not None:
                content = await self._printer.receipt(
                    shown,
                    is_extract=len(shown.parts) < len(receipt.parts),
                    is_named=request.query.get("named") == "true",
                )
                return _pdf(content)
        raise ProblemError(404, "unknown-receipt", "Aucune quittance n’est connue de ce paiement.")

    async def post_statement(self, request: web.Request) -> web.Response:
        """Return an attestation of what was paid as PDF; nothing of it is kept."""
        demand = await read_json(request, StatementDemand)
        if demand.year not in YEARS:
            raise ProblemError(
                422, "invalid-year", "Cette année n’en est pas une.", pointer="/year"
            )
        caller = principal(request)
        async with self._open() as receipts:
            found = await receipts.of_year(demand.authority, demand.year, demand.invoice_ids)
        seen = [one for one in found if caller.may_act_for(one.authority, one.regie)]
        if not seen:
            raise ProblemError(404, "nothing-paid", "Rien n’a été payé cette année-là.")
        return _pdf(await self._printer.statement(seen, demand.year, self._clock.now()))

    async def _found(self, request: web.Request, payment_id: str) -> list[Receipt]:
        caller = principal(request)
        async with self._open() as receipts:
            found = await receipts.of_payment(_id(payment_id))
        return [one for one in found if caller.may_act_for(one.authority, one.regie)]

    def operations(self) -> list[Operation]:
        """Return what is served."""
        return [
            Operation(
                method="GET",
                path="/v1/receipts",
                handler=self.get_receipts,
                summary="The quittances of a payment, for the portal.",
                scope=SCOPE,
                query={"payment_id": "The payment."},
                responses={200: ReceiptList},
            ),
            Operation(
                method="GET",
                path="/v1/payments/{payment_id}/receipt.pdf",
                handler=self.get_pdf,
                summary="A payment's quittance, for the portal.",
                scope=SCOPE,
                query={
                    "invoice_ids": "Only what it says of these, separated by commas.",
                    "named": "`true`: with the name of who owes and the numbers of invoices.",
                },
                responses={200: PDF},
            ),
            Operation(
                method="POST",
                path="/v1/statements",
                handler=self.post_statement,
                summary="An attestation of what was paid in a year, for the portal.",
                scope=SCOPE,
                request=StatementDemand,
                responses={200: PDF},
            ),
        ]


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        # No payment has it: answered as one that is not known.
        return UUID(int=0)


def _ids(text: str) -> frozenset[UUID]:
    return frozenset(_id(part) for part in text.split(",")[:MOST_INVOICES])


def _item(receipt: Receipt) -> ReceiptItem:
    return ReceiptItem(
        payment_id=receipt.payment_id,
        number=receipt.reference,
        authority=receipt.authority,
        regie=receipt.regie,
        amount_cents=receipt.amount_cents,
        returned_cents=receipt.returned_cents,
        means=receipt.means,
        paid_at=receipt.paid_at,
        issued_at=receipt.issued_at,
        invoice_ids=tuple(part.invoice_id for part in receipt.parts),
    )


def _pdf(content: bytes) -> web.Response:
    return web.Response(
        body=content,
        content_type=PDF,
        headers={
            "Cache-Control": "private, no-store",
            "Content-Disposition": 'inline; filename="quittance.pdf"',
            "X-Content-Type-Options": "nosniff",
        },
    )
