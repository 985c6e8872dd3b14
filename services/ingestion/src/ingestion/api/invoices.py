"""Invoices: where one stands, taking it back, and what goes to the printer."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Protocol
from uuid import UUID

import msgspec
from aiohttp import web

from ingestion.api.deposits import find_deposit, to_uuid
from ingestion.ports import InvoiceRow, OpenUnit, PublicationState
from shared.http import Operation, ProblemError, json_response, principal, read_json


class WithdrawalRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why an invoice is taken back."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class InvoiceState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An invoice as the biller may see it; `publication` is publication's own answer."""

    invoice_id: UUID
    regie: str
    number: str
    version: int
    state: str
    kind: str
    amount_cents: int
    currency: str = "EUR"
    deposit_id: UUID | None = None
    reason: str | None = None
    publication: PublicationState | None = None


class Publication(Protocol):
    """What ingestion asks of publication, in the name of the caller."""

    async def state(self, invoice_id: UUID, authorization: str) -> PublicationState | None:
        """Return how far the publication is, or None when nothing is known or nobody answers."""
        ...

    async def forward(
        self, request: web.Request, path: str, query: Mapping[str, str] | None = None
    ) -> web.StreamResponse:
        """Answer with what publication answers at `path`, as it comes.

        Raises:
            ProblemError: 503 when it does not answer.
        """
        ...


class InvoiceDoors:
    """The operations on invoices and their paper, over what the wiring gives."""

    def __init__(
        self,
        *,
        withdraw: Callable[[UUID, str], Awaitable[None]],
        open_unit: OpenUnit,
        publication: Publication,
    ) -> None:
        """Keep the parts; `operations` lists what is served."""
        self._withdraw = withdraw
        self._open_unit = open_unit
        self._publication = publication

    async def get_invoice(self, request: web.Request) -> web.Response:
        """Return the state of one invoice, with that of its publication."""
        invoice = await self._invoice(request)
        publication = await self._publication.state(
            invoice.invoice_id, request.headers["Authorization"]
        )
        return json_response(_state(invoice, publication))

    async def post_withdrawal(self, request: web.Request) -> web.Response:
        """Take an invoice back."""
        withdrawal = await read_json(request, WithdrawalRequest)
        invoice = await self._invoice(request)
        if not withdrawal.reason.isprintable():
            raise ProblemError(
                422,
                "forbidden-character",
                "Le motif contient un caractère interdit.",
                pointer="/reason",
            )
        await self._withdraw(invoice.invoice_id, withdrawal.reason)
        return json_response(_state(await self._invoice(request), None))

    async def get_print(self, request: web.Request) -> web.StreamResponse:
        """Return the stamped PDF for post."""
        invoice = await self._invoice(request)
        return await self._publication.forward(
            request, f"/v1/invoices/{invoice.invoice_id}/print.pdf"
        )

    async def get_print_run(self, request: web.Request) -> web.StreamResponse:
        """Return what a deposit sends by post, in postal order, in one file."""
        return await self._print_run(request, "pdf")

    async def get_print_index(self, request: web.Request) -> web.StreamResponse:
        """Return the index of a print run, for mailing software."""
        return await self._print_run(request, "json")

    async def get_print_table(self, request: web.Request) -> web.StreamResponse:
        """Return the index of a print run as a table."""
        return await self._print_run(request, "csv")

    async def _print_run(self, request: web.Request, kind: str) -> web.StreamResponse:
        deposit = await find_deposit(request, self._open_unit)
        # Publication hears of a deposit invoice by invoice: it must know when it has all of them.
        query = {"expected": str(deposit.totals.created + deposit.totals.superseded)}
        if "duplex" in request.query:
            query["duplex"] = request.query["duplex"]
        return await self._publication.forward(
            request, f"/v1/deposits/{deposit.deposit_id}/print-run.{kind}", query
        )

    async def _invoice(self, request: web.Request) -> InvoiceRow:
        invoice_id = to_uuid(request.match_info["invoice_id"])
        async with self._open_unit() as unit:
            invoice = await unit.invoices.find(invoice_id) if invoice_id else None
        if invoice is None or not principal(request).may_act_for(invoice.authority, invoice.regie):
            raise ProblemError(404, "unknown-invoice", "Cette facture n’est pas connue.")
        return invoice

    def operations(self) -> list[Operation]:
        """Return what is served."""
        return [
            Operation(
                method="GET",
                path="/v1/invoices/{invoice_id}",
                handler=self.get_invoice,
                summary="State of one invoice.",
                scope="deposits:read",
                responses={200: InvoiceState},
            ),
            Operation(
                method="POST",
                path="/v1/invoices/{invoice_id}/withdraw",
                handler=self.post_withdrawal,
                summary="Take an invoice back, with a reason.",
                scope="deposits:write",
                request=WithdrawalRequest,
                responses={200: InvoiceState},
            ),
            Operation(
                method="GET",
                path="/v1/invoices/{invoice_id}/print.pdf",
                handler=self.get_print,
                summary="The stamped PDF for post.",
                scope="deposits:read",
                responses={200: "application/pdf"},
            ),
            *self._print_operations(),
        ]

    def _print_operations(self) -> list[Operation]:
        duplex = {"duplex": "true: each letter begins on a sheet of its own."}
        return [
            Operation(
                method="GET",
                path="/v1/deposits/{deposit_id}/print-run.pdf",
                handler=self.get_print_run,
                summary="What a deposit sends by post, in postal order, in one file.",
                scope="deposits:read",
                query=duplex,
                query_patterns={"duplex": "^(true|false)$"},
                responses={200: "application/pdf"},
            ),
            Operation(
                method="GET",
                path="/v1/deposits/{deposit_id}/print-run.json",
                handler=self.get_print_index,
                summary="The index of a print run, for mailing software.",
                scope="deposits:read",
                query=duplex,
                query_patterns={"duplex": "^(true|false)$"},
                responses={200: "application/json"},
            ),
            Operation(
                method="GET",
                path="/v1/deposits/{deposit_id}/print-run.csv",
                handler=self.get_print_table,
                summary="The index of a print run, as a table.",
                scope="deposits:read",
                query=duplex,
                query_patterns={"duplex": "^(true|false)$"},
                responses={200: "text/csv"},
            ),
        ]


def _state(invoice: InvoiceRow, publication: PublicationState | None) -> InvoiceState:
    return InvoiceState(
        invoice_id=invoice.invoice_id,
        regie=invoice.regie,
        number=invoice.number,
        version=invoice.version,
        state=invoice.state,
        kind=invoice.kind,
        amount_cents=invoice.amount_cents,
        deposit_id=invoice.deposit_id,
        reason=invoice.reason,
        publication=publication,
    )
