"""Choosing what to pay: several invoices of one régie, or a part; shown before anything starts."""

from collections.abc import Mapping
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from aiohttp import web

from gateway.api.invoices import PAYFIP, InvoicePages, not_to_be_paid
from gateway.api.language import say
from gateway.api.listing import PAID_AT_ONCE
from gateway.api.reasons import AMOUNT_CODES, amount_error, refusal, told
from gateway.api.site import citizen_of, require_citizen
from gateway.api.typed import EMAIL_LENGTHS, cents_of
from gateway.api.web import page, render
from gateway.ports import (
    InvoiceView,
    OtherServices,
    Payability,
    Quote,
    QuoteDemand,
    RefusedError,
    ServiceUnavailableError,
)
from shared.http import Operation, ProblemError

SELECTION_PATH = "/payer/selection"
LONGEST_SHOWN = 80
"""How much of what somebody typed wrongly is shown to them again."""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """Invoices that somebody may pay: one by its paper's token, or some of their account.

    `amount_cents` is the part that they chose; None: all that is owed.
    """

    invoices: tuple[InvoiceView, ...]
    token: str = ""
    amount_cents: int | None = None

    @property
    def invoice_ids(self) -> tuple[UUID, ...]:
        """What payment knows them by."""
        return tuple(invoice.invoice_id for invoice in self.invoices)

    @property
    def address(self) -> str:
        """The page on which this choice is shown."""
        if self.token:
            return f"/q/{self.token}/payer"
        ids = [("invoice_id", str(invoice_id)) for invoice_id in self.invoice_ids]
        return f"{SELECTION_PATH}?{urlencode(ids)}"

    @property
    def back(self) -> str:
        """The page from which it was made."""
        if self.token:
            return f"/q/{self.token}"
        return f"/factures/{self.invoice_ids[0]}" if len(self.invoices) == 1 else "/factures"


class Choosing:
    """Pages on which a payment is looked at before it starts."""

    def __init__(self, services: OtherServices, invoices: InvoicePages) -> None:
        """Ask payment through `services`; find invoices through `invoices`."""
        self._services = services
        self._invoices = invoices

    async def chosen(self, request: web.Request, token: str, invoice_ids: list[str]) -> Choice:
        """Return what somebody wants to pay, which they may see: by token, or in the account.

        Raises:
            HTTPSeeOther: invoices of an account, and nobody is logged in.
            ProblemError: none, too many, not theirs, or of several régies.
        """
        if token:
            return Choice(invoices=(await self._invoices.by_token(request, token),), token=token)
        require_citizen(request)
        wanted = list(dict.fromkeys(invoice_ids))
        if not wanted:
            sentence = say(request, "Choisissez au moins une facture à payer.")
            raise ProblemError(422, "no-invoice", sentence)
        if len(wanted) > PAID_AT_ONCE:
            sentence = say(
                request,
                "Choisissez au plus %(count)d factures à la fois.",
                count=PAID_AT_ONCE,
            )
            raise ProblemError(422, "too-many-invoices", sentence)
        invoices = [await self._invoices.own(request, invoice_id) for invoice_id in wanted]
        if not all(invoice.can_pay for invoice in invoices):
            raise not_to_be_paid(request)
        if len({(invoice.authority, invoice.regie) for invoice in invoices}) > 1:
            # Each régie keeps its own books: a payment is of one of them.
            sentence = say(
                request,
                "Ces factures ne peuvent être payées ensemble : choisissez celles d’un même"
                " service.",
            )
            raise ProblemError(422, "different-regies", sentence)
        return Choice(invoices=tuple(invoices))

    async def get_selection(self, request: web.Request) -> web.Response:
        """Show what paying some invoices of the account would be."""
        ids = request.query.getall("invoice_id", [])
        if not ids:
            require_citizen(request)
            error = say(request, "Choisissez au moins une facture à payer.")
            return await self._invoices.list_page(request, status=422, error=error)
        return await self._asked(request, await self.chosen(request, "", ids))

    async def get_by_token(self, request: web.Request) -> web.Response:
        """Show what paying the invoice of a paper would be."""
        return await self._asked(
            request, await self.chosen(request, request.match_info["token"], [])
        )

    async def _asked(self, request: web.Request, choice: Choice) -> web.Response:
        typed = request.query.get("montant", "").strip()
        if not typed:
            return await self.show(request, choice)
        cents = cents_of(typed)
        if cents is None or cents == 0:
            return await self.show(request, choice, refused_amount="unreadable", typed=typed)
        wanted = msgspec.structs.replace(choice, amount_cents=cents)
        return await self.show(request, wanted, typed=typed)

    async def show(
        self,
        request: web.Request,
        choice: Choice,
        *,
        refused_amount: str = "",
        typed: str = "",
        email: str = "",
        email_error: str = "",
        status: int = 200,
    ) -> web.Response:
        """Show how the sum is split, oldest first, what cannot be paid now and why.

        What is wrong with what the payer typed is said beside its field: `refused_amount` is a code
        of payment, or any word for what is no sum.

        Raises:
            ProblemError: payment refuses all of it.
            ServiceUnavailableError: it does not answer.
        """
        amount_cents = None if refused_amount else choice.amount_cents
        try:
            found = await self._quote(choice, amount_cents)
        except RefusedError as error:
            if error.code not in AMOUNT_CODES:
                raise refusal(request, error) from error
            refused_amount, amount_cents = error.code, None
            found = await self._quote(choice, None)
        part = await self._part(choice, found)
        errors: dict[str, str] = {}
        if refused_amount:
            errors["montant"] = amount_error(
                request,
                refused_amount,
                minimum_cents=part.minimum_cents if part else None,
                outstanding_cents=found.outstanding_cents,
            )
        if email_error:
            errors["email"] = email_error
        citizen = citizen_of(request)
        shares = _shares(choice, found)
        return render(
            request,
            "selection.html",
            status=422 if errors else status,
            choice=choice,
            found=found,
            shares=shares,
            accepted_ids=[invoice.invoice_id for invoice, _ in shares],
            refused=_refused(request, choice, found),
            amount_cents=amount_cents,
            typed=typed[:LONGEST_SHOWN],
            floor_cents=part.minimum_cents if part else 0,
            asks_email=found.needs_email and not known_email(request),
            email=email[:LONGEST_SHOWN] or (citizen.email if citizen else ""),
            errors=errors,
            is_payfip=found.account is not None and found.account.provider in PAYFIP,
        )

    async def _quote(self, choice: Choice, amount_cents: int | None) -> Quote:
        demand = QuoteDemand(invoice_ids=choice.invoice_ids, amount_cents=amount_cents)
        return await self._services.quote(demand)

    async def _part(self, choice: Choice, found: Quote) -> Payability | None:
        """Return the least that may be paid; None where no part may be.

        The largest invoice tells it: the least of a small one is all of it.
        """
        refused = {entry.invoice_id for entry in found.refused}
        accepted = [one for one in choice.invoices if one.invoice_id not in refused]
        if not accepted or not found.allocations:
            return None
        largest = max(accepted, key=lambda invoice: invoice.outstanding_cents)
        try:
            payability = await self._services.payability(largest.invoice_id)
        except (RefusedError, ServiceUnavailableError):
            # The whole sum can be paid all the same.
            return None
        return payability if payability.takes_part else None

    def operations(self) -> list[Operation]:
        """Return what is served."""
        return [
            page(
                "GET",
                SELECTION_PATH,
                self.get_selection,
                "What paying some invoices would be, oldest first; starts nothing.",
            ),
            page(
                "GET",
                "/q/{token}/payer",
                self.get_by_token,
                "What paying the paper's invoice would be; starts nothing.",
            ),
        ]


def known_email(request: web.Request) -> str:
    """Return the proved address of whoever is logged in, if providers take it; else nothing."""
    citizen = citizen_of(request)
    is_usable = citizen is not None and citizen.is_verified and len(citizen.email) in EMAIL_LENGTHS
    return citizen.email if citizen is not None and is_usable else ""


def _shares(choice: Choice, found: Quote) -> list[tuple[InvoiceView, int]]:
    """Return each invoice that can be paid with its part of the sum, in payment's order."""
    known = {invoice.invoice_id: invoice for invoice in choice.invoices}
    paid: Mapping[UUID, int] = {part.invoice_id: part.amount_cents for part in found.allocations}
    refused = {entry.invoice_id for entry in found.refused}
    left_out = [
        invoice
        for invoice in sorted(choice.invoices, key=lambda one: (one.due_on, one.number))
        if found.allocations and invoice.invoice_id not in refused | paid.keys()
    ]
    return [
        *((known[invoice_id], cents) for invoice_id, cents in paid.items() if invoice_id in known),
        *((invoice, 0) for invoice in left_out),
    ]


def _refused(
    request: web.Request, choice: Choice, found: Quote
) -> list[tuple[InvoiceView, str, str]]:
    """Return each invoice that cannot be paid now with the reason and its sentence."""
    known = {invoice.invoice_id: invoice for invoice in choice.invoices}
    return [
        (known[entry.invoice_id], entry.reason, told(request, entry))
        for entry in found.refused
        if entry.invoice_id in known
    ]
