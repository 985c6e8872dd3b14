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


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice in the list: how it stands today, and what is left to pay of it."""

    invoice: InvoiceView
    status: str
    owed_cents: int

    @property
    def can_be_paid(self) -> bool:
        """Whether it is for the reader to pay: one may read for another, and not pay."""
        return self.owed_cents > 0 and self.invoice.can_pay


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Invoices of one régie that can be paid together, oldest debt first."""

    authority: str
    authority_name: str
    regie: str
    regie_label: str
    lines: tuple[Line, ...]

    @property
    def total_cents(self) -> int:
        """What paying all of them costs."""
        return sum(line.owed_cents for line in self.lines)


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
    lines: tuple[Line, ...]


async def show_list(request: web.Request, *, status: int = 200, error: str = "") -> web.Response:
    """Return the list, with what was wrong with a choice made on it.

    Raises:
        HTTPSeeOther: nobody is logged in.
    """
    citizen = require_citizen(request)
    day = today(request)
    site = site_of(request)
    invoices = await site.lookups.own_invoices(citizen.account_id)
    wish = _wish(request.query, invoices)
    paid: Sequence[PaidMonth] = ()
    if wish.state == "payees":
        fitting_ids = [invoice.invoice_id for invoice in invoices if wish.fits(invoice)]
        async with site.open_portal() as portal:
            paid = await portal.paid_by_month(fitting_ids, _last_months(day)[-1])
    lines = [_line(invoice, day) for invoice in invoices]
    fitting = [line for line in lines if wish.fits(line.invoice)]
    shown = sorted((line for line in fitting if _is_in(wish.state, line)), key=_rank)
    number = _page_number(request.query.get("page", ""), len(shown))
    owed = [line for line in lines if line.can_be_paid]
    return render(
        request,
        "invoices.html",
        status=status,
        error=error,
        wish=wish,
        sections=_sections(shown[(number - 1) * SHOWN_AT_ONCE : number * SHOWN_AT_ONCE]),
        groups=_together([line for line in fitting if line.can_be_paid]) if number == 1 else [],
        counts={state: sum(_is_in(state, line) for line in fitting) for state in FILTERS},
        authorities=sorted({(one.authority_name, one.authority) for one in invoices}),
        years=sorted({str(one.issued_on.year) for one in invoices}, reverse=True),
        owed_cents=sum(line.owed_cents for line in owed),
        owed_count=len(owed),
        late_count=sum(line.status == "overdue" for line in lines),
        next_due_on=min(
            (line.invoice.due_on for line in owed if line.status != "overdue"), default=None
        ),
        total=len(lines),
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


def _together(owed: Sequence[Line]) -> list[Group]:
    """Return the invoices that can be paid in one go, where a régie has several.

    A titre is paid alone: PayFiP takes one reference at a time.
    """
    groups: dict[tuple[str, str], list[Line]] = {}
    for line in sorted(owed, key=_age):
        if not is_of_treasury(line.invoice):
            groups.setdefault((line.invoice.authority, line.invoice.regie), []).append(line)
    return [
        Group(
            authority=authority,
            authority_name=members[0].invoice.authority_name,
            regie=regie,
            regie_label=members[0].invoice.regie_label,
            lines=tuple(members[:PAID_AT_ONCE]),
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


def _line(invoice: InvoiceView, day: date) -> Line:
    return Line(invoice=invoice, status=invoice.status(day), owed_cents=invoice.outstanding_cents)


def _is_in(state: str, line: Line) -> bool:
    return not state or line.status in FILTERS[state]


def _rank(line: Line) -> tuple[int, date]:
    """Return where a line stands: what is owed by its due date, the rest as they came."""
    return _RANKS.get(line.status, 3), line.invoice.due_on if line.owed_cents else date.max


def _age(line: Line) -> tuple[date, date, str]:
    return line.invoice.due_on, line.invoice.issued_on, line.invoice.number


def _sections(lines: Sequence[Line]) -> list[Section]:
    """Return one page of the list by its headings, none of them empty."""
    parts = {
        name: tuple(line for line in lines if _is_in(name, line))
        for name in ("a-payer", "payees", "autres")
    }
    return [Section(name=name, lines=members) for name, members in parts.items() if members]


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
