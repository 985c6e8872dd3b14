"""The billers' doors: deposits, their lines, invoices, withdrawals, files to print."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Literal, Protocol
from uuid import UUID

import msgspec
from aiohttp import web

from ingestion.domain import InvoiceDraft, Rejection, Route, UnreadableDepositError
from ingestion.ports import (
    DepositRow,
    InvoiceRow,
    LineRow,
    OpenUnit,
    PublicationState,
    Receipt,
    ReceivedDeposit,
    ReceivedFile,
)
from shared.auth import Principal
from shared.http import Operation, ProblemError, json_response, principal, read_json

LINES_PER_PAGE = 1000
IDEMPOTENCY_KEY_LENGTH = 255


class WithdrawalRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why an invoice is taken back."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class DepositProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a deposit is and what became of its lines."""

    deposit_id: UUID
    status: Literal["done"]
    format: str
    received_at: str
    total: int
    created: int
    unchanged: int
    superseded: int
    rejected: int


class LinePage(msgspec.Struct, frozen=True, kw_only=True):
    """Lines of a deposit; `next` continues where this page ends."""

    lines: tuple[LineRow, ...]
    next: int | None


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


class Body(Protocol):
    """A deposit's body once read; see `adapters.parts.Parts`."""

    index: bytes | None
    files: dict[str, ReceivedFile]
    refused: dict[str, Rejection]
    sha256: str


class Publication(Protocol):
    """What ingestion asks of publication."""

    async def state(self, invoice_id: UUID, authorization: str) -> PublicationState | None:
        """Return how far the publication is, or None when nothing is known or nobody answers."""
        ...

    async def print_file(self, invoice_id: UUID, authorization: str) -> bytes:
        """Return the PDF to print.

        Raises:
            ProblemError: publication's own refusal, or 503 when it does not answer.
        """
        ...


class Readers(msgspec.Struct, frozen=True, kw_only=True):
    """How bodies are read: given by the wiring, so that this module only routes."""

    json: Callable[[bytes], Sequence[InvoiceDraft | Rejection]]
    facturx: Callable[[bytes, str | None, Route], Awaitable[InvoiceDraft | Rejection]]
    parts: Callable[[web.Request], Awaitable[Body]]
    check_file: Callable[[bytes], Rejection | None]


class Doors:
    """The operations, over what the wiring gives."""

    def __init__(
        self,
        *,
        readers: Readers,
        take_deposit: Callable[[ReceivedDeposit], Awaitable[Receipt]],
        withdraw: Callable[[UUID, str], Awaitable[None]],
        open_unit: OpenUnit,
        publication: Publication,
    ) -> None:
        """Keep the parts; `operations` lists what is served."""
        self._readers = readers
        self._take_deposit = take_deposit
        self._withdraw = withdraw
        self._open_unit = open_unit
        self._publication = publication

    async def post_deposit(self, request: web.Request) -> web.Response:
        """Take a deposit: 202 with the receipt, whatever became of its lines."""
        caller = principal(request)
        if not caller.authority:
            raise ProblemError(403, "no-authority", "Ce jeton n’est lié à aucune collectivité.")
        received = await self._received(request, caller)
        receipt = await self._take_deposit(received)
        return json_response(
            receipt, status=202, headers={"Location": f"/v1/deposits/{receipt.deposit_id}"}
        )

    async def _received(self, request: web.Request, caller: Principal) -> ReceivedDeposit:
        key = request.headers.get("Idempotency-Key")
        if key is not None and not 0 < len(key) <= IDEMPOTENCY_KEY_LENGTH:
            raise ProblemError(
                400, "invalid-idempotency-key", "La clé d’idempotence compte de 1 à 255 caractères."
            )
        regie = request.query.get("regie")
        files: dict[str, ReceivedFile] = {}
        refused: dict[str, Rejection] = {}
        media = request.content_type
        try:
            if media == "application/json":
                body = await request.read()
                digest = hashlib.sha256(body).hexdigest()
                lines = self._readers.json(body)
                form = "json"
            elif media == "application/pdf":
                body = await request.read()
                digest = hashlib.sha256(body).hexdigest()
                lines, files = await self._from_pdf(body, regie, caller.authority)
                form = "facturx"
            elif media == "multipart/form-data":
                parts = await self._readers.parts(request)
                digest, files, refused = parts.sha256, parts.files, parts.refused
                lines, form = await self._from_parts(parts, regie, caller.authority)
            else:
                raise ProblemError(
                    415,
                    "unsupported-format",
                    "Un dépôt est du JSON, un PDF Factur-X, ou plusieurs parties des deux.",
                )
        except UnreadableDepositError as error:
            raise ProblemError(
                413 if error.code.endswith("too_large") else 400,
                error.code.replace("_", "-"),
                error.detail,
                pointer=error.pointer,
            ) from error
        return ReceivedDeposit(
            authority=caller.authority,
            client=caller.subject,
            regies=caller.regies,
            idempotency_key=key,
            body_sha256=hashlib.sha256(f"{digest} {regie}".encode()).hexdigest(),
            format=form,
            lines=tuple(lines),
            files=files,
            refused_files=refused,
        )

    async def _from_pdf(
        self, content: bytes, regie: str | None, authority: str
    ) -> tuple[list[InvoiceDraft | Rejection], dict[str, ReceivedFile]]:
        refusal = self._readers.check_file(content)
        if refusal is not None:
            raise UnreadableDepositError(refusal.code, "", refusal.message)
        sha256 = hashlib.sha256(content).hexdigest()
        route = await self._route(authority, regie)
        entry = await self._readers.facturx(content, regie, route)
        if isinstance(entry, Rejection):
            raise UnreadableDepositError(entry.code, entry.pointer, entry.message)
        return [entry], {sha256: ReceivedFile(name=sha256, sha256=sha256, content=content)}

    async def _from_parts(
        self, parts: Body, regie: str | None, authority: str
    ) -> tuple[Sequence[InvoiceDraft | Rejection], str]:
        if parts.index is not None:
            return self._readers.json(parts.index), "json"
        named = {name: file for name, file in parts.files.items() if name == file.name}
        route = await self._route(authority, regie)
        entries = [await self._readers.facturx(f.content, regie, route) for f in named.values()]
        lines = [*entries, *parts.refused.values()]
        if not lines:
            raise UnreadableDepositError("no_invoices", "", "Le dépôt ne contient rien.")
        return lines, "facturx"

    async def _route(self, authority: str, regie: str | None) -> Route:
        """Return how the régie is paid: an invoice's XML does not tell."""
        async with self._open_unit() as unit:
            known = await unit.deposits.authority(authority)
        found = known.regies.get(regie or "") if known else None
        return found.route if found else "regie"

    async def get_deposit(self, request: web.Request) -> web.Response:
        """Return the totals of a deposit."""
        deposit = await self._deposit(request)
        return json_response(
            DepositProgress(
                deposit_id=deposit.deposit_id,
                status="done",
                format=deposit.format,
                received_at=deposit.received_at.isoformat(),
                total=deposit.total,
                created=deposit.created,
                unchanged=deposit.unchanged,
                superseded=deposit.superseded,
                rejected=deposit.rejected,
            )
        )

    async def get_lines(self, request: web.Request) -> web.Response:
        """Return lines of a deposit, all or those of one status, a page at a time."""
        deposit = await self._deposit(request)
        status = request.query.get("status")
        if status not in (None, "created", "unchanged", "superseded", "rejected"):
            raise ProblemError(400, "invalid-parameter", "Ce statut de ligne n’existe pas.")
        after = request.query.get("after", "-1")
        if not after.lstrip("-").isdecimal() or len(after) > 9:
            raise ProblemError(400, "invalid-parameter", "« after » est un numéro de ligne.")
        async with self._open_unit() as unit:
            lines = await unit.deposits.find_lines(
                deposit.deposit_id, status, int(after), LINES_PER_PAGE
            )
        more = len(lines) == LINES_PER_PAGE
        return json_response(
            LinePage(lines=tuple(lines), next=lines[-1].position if more else None)
        )

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

    async def get_print(self, request: web.Request) -> web.Response:
        """Return the stamped PDF for post."""
        invoice = await self._invoice(request)
        content = await self._publication.print_file(
            invoice.invoice_id, request.headers["Authorization"]
        )
        return web.Response(body=content, content_type="application/pdf")

    async def _deposit(self, request: web.Request) -> DepositRow:
        deposit_id = _uuid(request.match_info["deposit_id"])
        async with self._open_unit() as unit:
            deposit = await unit.deposits.find_deposit(deposit_id) if deposit_id else None
        # Another town's deposit is answered as one that does not exist.
        if deposit is None or not principal(request).may_act_for(deposit.authority):
            raise ProblemError(404, "unknown-deposit", "Ce dépôt n’est pas connu.")
        return deposit

    async def _invoice(self, request: web.Request) -> InvoiceRow:
        invoice_id = _uuid(request.match_info["invoice_id"])
        async with self._open_unit() as unit:
            invoice = await unit.deposits.find_invoice(invoice_id) if invoice_id else None
        if invoice is None or not principal(request).may_act_for(invoice.authority, invoice.regie):
            raise ProblemError(404, "unknown-invoice", "Cette facture n’est pas connue.")
        return invoice

    def operations(self) -> list[Operation]:
        """Return what ingestion serves."""
        return [
            Operation(
                method="POST",
                path="/v1/deposits",
                handler=self.post_deposit,
                summary="Deposit invoices: JSON, a Factur-X PDF, or parts of both.",
                scope="deposits:write",
                request_types=("application/json", "application/pdf", "multipart/form-data"),
                query={"regie": "Régie of invoices whose format does not name one."},
                responses={202: Receipt},
            ),
            Operation(
                method="GET",
                path="/v1/deposits/{deposit_id}",
                handler=self.get_deposit,
                summary="Progress and totals of a deposit.",
                scope="deposits:read",
                responses={200: DepositProgress},
            ),
            Operation(
                method="GET",
                path="/v1/deposits/{deposit_id}/lines",
                handler=self.get_lines,
                summary="Outcome of each line of a deposit.",
                scope="deposits:read",
                query={"status": "Only lines of this outcome.", "after": "Last position seen."},
                responses={200: LinePage},
            ),
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


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
