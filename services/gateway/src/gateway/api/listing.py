"""The list of an account's invoices: which are shown, in which order, and what is told of them."""

from collections.abc import Mapping, Sequence
from datetime import date
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from gateway.api.site import require_citizen, site_of, today
from gateway.api.web import render
from gateway.ports import InvoiceView, PaidMonth

FILTERS: dict[str, frozenset[str]] = {
    "a-payer": frozenset({"to_pay", "partly_paid", "overdue"}),
    "en-retard": frozenset({"overdue"}),
    "payees": frozenset({"paid"}),
    "autres": frozenset({"withdrawn", "credit_note"}),
}
"""What each filter of the list shows, by status."""
SHOWN_AT_ONCE = 50
PAID_AT_ONCE = 50
"""What payment takes in one go."""
MOST_PAGES_SHOWN = 7
"""Of many pages the first, the last and those around are offered: a telephone is narrow."""

MONTHS_SHOWN = 12

_RANKS = {"overdue": 0, "to_pay": 1, "partly_paid": 1, "paid": 2}


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Invoices of one régie that can be paid together, oldest debt first."""

    authority: str
    authority_name: str
    regie: str
    regie_label: str
    invoices: tuple[InvoiceView, ...]

    @property
    def total_cents(self) -> int:
        """What paying all of them costs."""
        return sum(invoice.outstanding_cents for invoice in self.invoices)


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants to see: a filter, an authority, a year; empty: all."""

    state: str = ""
    authority: str = ""
    year: str = ""

    def fits(self, invoice: InvoiceView) -> bool:
        """Tell whether an invoice is of the wanted authority and year."""
        return self.authority in ("", invoice.authority) and self.year in (
            "",
            str(invoice.issued_on.year),
        )

    def address(self, *, state: str | None = None, number: int = 1) -> str:
        """Return the address of the list with this wish, or with another filter."""
        fields = {
            "etat": self.state if state is None else state,
            "collectivite": self.authority,
            "annee": self.year,
            "page": str(number) if number > 1 else "",
        }
        query = urlencode({name: value for name, value in fields.items() if value})
        return f"/factures?{query}" if query else "/factures"


class MonthBar(msgspec.Struct, frozen=True, kw_only=True):
    """What was paid in a month; `share` is how much that is of the largest, in hundredths."""

    month: date
    amount_cents: int
    share: float


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the list under a heading of its own."""

    name: str
    invoices: tuple[InvoiceView, ...]


async def show_list(request: web.Request, *, status: int = 200, error: str = "") -> web.Response:
    """Return the list, with what was wrong with a choice made on it.

    Raises:
        HTTPSeeOther: nobody is logged in.
    """
    citizen = require_citizen(request)
    day = today(request)
    async with site_of(request).open_portal() as portal:
        invoices = await portal.own_invoices(citizen.account_id)
        wish = _wish(request.query, invoices)
        paid = (
            await portal.paid_by_month(
                [invoice.invoice_id for invoice in invoices if wish.fits(invoice)],
                _last_months(day)[-1],
            )
            if wish.state == "payees"
            else []
        )
    fitting = [invoice for invoice in invoices if wish.fits(invoice)]
    shown = sorted(
        (one for one in fitting if _is_in(wish.state, one.status(day))),
        key=lambda invoice: _rank(invoice, day),
    )
    number = _page_number(request.query.get("page", ""), len(shown))
    # What somebody may read for another and not pay is no debt of theirs.
    owed = [invoice for invoice in invoices if invoice.is_owed and invoice.can_pay]
    return render(
        request,
        "invoices.html",
        status=status,
        error=error,
        wish=wish,
        sections=_sections(shown[(number - 1) * SHOWN_AT_ONCE : number * SHOWN_AT_ONCE], day),
        groups=together([one for one in fitting if one.is_owed and one.can_pay])
        if number == 1
        else [],
        counts={state: _count(fitting, state, day) for state in FILTERS},
        authorities=sorted({(one.authority_name, one.authority) for one in invoices}),
        years=sorted({str(one.issued_on.year) for one in invoices}, reverse=True),
        owed_cents=sum(invoice.outstanding_cents for invoice in owed),
        owed_count=len(owed),
        late_count=sum(invoice.status(day) == "overdue" for invoice in invoices),
        next_due_on=min((one.due_on for one in owed if one.due_on >= day), default=None),
        total=len(invoices),
        page_number=number,
        page_numbers=page_numbers(number, -(-len(shown) // SHOWN_AT_ONCE) or 1),
        months=_months(paid, day),
    )


def page_numbers(number: int, count: int) -> list[int]:
    """Return the pages to offer beside the one shown, in order; where some are left out, 0."""
    around = range(number - 1, number + 2)
    if count <= MOST_PAGES_SHOWN:
        return list(range(1, count + 1))
    found: list[int] = []
    for candidate in range(1, count + 1):
        if candidate in (1, count) or candidate in around:
            found.append(candidate)
        elif found[-1] != 0:
            found.append(0)
    return found


def together(owed: Sequence[InvoiceView]) -> list[Group]:
    """Return the invoices that can be paid in one go, where a régie has several.

    A titre is paid alone: PayFiP takes one reference at a time.
    """
    groups: dict[tuple[str, str], list[InvoiceView]] = {}
    for invoice in sorted(owed, key=lambda one: (one.due_on, one.issued_on, one.number)):
        if not is_of_treasury(invoice):
            groups.setdefault((invoice.authority, invoice.regie), []).append(invoice)
    return [
        Group(
            authority=authority,
            authority_name=members[0].authority_name,
            regie=regie,
            regie_label=members[0].regie_label,
            invoices=tuple(members[:PAID_AT_ONCE]),
        )
        for (authority, regie), members in groups.items()
        if len(members) > 1
    ]


def is_of_treasury(invoice: InvoiceView) -> bool:
    """Tell whether the public accountant is paid, through PayFiP."""
    return invoice.route == "treasury"


def _wish(query: Mapping[str, str], invoices: Sequence[InvoiceView]) -> Wish:
    """Return what the address asks for; what no invoice has is not asked."""
    state, authority, year = (query.get(name, "") for name in ("etat", "collectivite", "annee"))
    return Wish(
        state=state if state in FILTERS else "",
        authority=authority if any(one.authority == authority for one in invoices) else "",
        year=year if any(str(one.issued_on.year) == year for one in invoices) else "",
    )


def _is_in(state: str, status: str) -> bool:
    return not state or status in FILTERS[state]


def _count(invoices: Sequence[InvoiceView], state: str, day: date) -> int:
    return sum(_is_in(state, invoice.status(day)) for invoice in invoices)


def _rank(invoice: InvoiceView, day: date) -> tuple[int, date]:
    """Return where an invoice stands: what is owed by its due date, the rest newest first."""
    return _RANKS.get(invoice.status(day), 3), invoice.due_on if invoice.is_owed else day


def _sections(invoices: Sequence[InvoiceView], day: date) -> list[Section]:
    """Return one page of the list by its headings, none of them empty."""
    parts = {
        name: tuple(one for one in invoices if _is_in(name, one.status(day)))
        for name in ("a-payer", "payees", "autres")
    }
    return [Section(name=name, invoices=members) for name, members in parts.items() if members]


def _months(paid: Sequence[PaidMonth], day: date) -> list[MonthBar]:
    """Return a bar for each month since the first payment, the newest first."""
    amounts = {month.month: month.amount_cents for month in paid}
    largest = max(amounts.values(), default=0)
    if largest <= 0:
        return []
    oldest = min(amounts)
    shown = [month for month in _last_months(day) if month >= oldest]
    return [
        MonthBar(
            month=month,
            amount_cents=amounts.get(month, 0),
            share=round(max(0, amounts.get(month, 0)) / largest * 100, 1),
        )
        for month in shown
    ]


def _last_months(day: date) -> list[date]:
    """Return the first days of the last months, this one first."""
    months = [divmod(day.year * 12 + day.month - 1 - back, 12) for back in range(MONTHS_SHOWN)]
    return [date(year, month + 1, 1) for year, month in months]


def _page_number(text: str, count: int) -> int:
    last = max(1, -(-count // SHOWN_AT_ONCE))
    return min(last, max(1, int(text))) if text.isdecimal() and len(text) < 6 else 1
