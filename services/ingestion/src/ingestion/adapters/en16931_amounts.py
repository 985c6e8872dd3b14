"""Reads the amounts of an EN 16931 invoice: what is owed, and the lines that lead to it."""

import re
from decimal import Decimal

import msgspec

from ingestion.adapters.en16931_fields import Paths, shortened
from ingestion.adapters.xml_reader import Element, text_of
from ingestion.domain import InvoiceLine
from ingestion.domain.invoice import INVOICE_LINES
from shared.money import CURRENCY, format_euros, parse_euros

_AMOUNT = re.compile(r"[+-]?(?:[0-9]{1,12}(?:\.[0-9]{0,2}0*)?|\.[0-9]{1,2}0*)")
_EXACT = re.compile(r"[+-]?(?:[0-9]{1,12}(?:\.[0-9]{0,12})?|\.[0-9]{1,12})")
_QUANTITY = re.compile(r"[+-]?[0-9]{1,9}(?:\.[0-9]{1,6}0*)?")


class Lines(msgspec.Struct, frozen=True, kw_only=True):
    """Where a document has its lines (BG-25); all but `path` starts at the line."""

    path: str
    labels: tuple[str, ...]
    """BT-153, then what may stand in for it."""
    amount: str
    """BT-131."""
    quantity: str
    """BT-129."""
    price: str
    """BT-146."""
    base_quantity: str
    """BT-149."""
    role: str | None = None
    """Whether the line counts, in the EXTENDED profile."""


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """Where a document has its totals (BG-22) and what they are made of."""

    due: str
    """BT-115."""
    line_total: str
    """BT-106."""
    tax_basis: str
    """BT-109."""
    grand_total: str
    """BT-112."""
    prepaid: str
    """BT-113."""
    rounding: str
    """BT-114."""
    allowance_total: str
    """BT-107."""
    charge_total: str
    """BT-108."""
    tax_total: str
    """BT-110, and BT-111 in another currency."""
    tax_parts: str
    """BT-117: the VAT of each rate."""
    adjustments: tuple[str, ...]
    """BG-20 and BG-21: allowances and charges of the whole document."""
    third_party: str
    """BT-179: claimed for somebody else, beside the invoice's own total. UBL has the same name for
    prepayments, so it counts only where it closes the gap."""
    profile: str
    """BT-24."""
    is_due_optional: bool = False
    """Whether a document owes its grand total that has no BT-115, or zero there in a correction."""
    may_have_gross_lines: bool = False
    """Whether the VAT may be in the amounts of the lines."""
    may_hide_prepaid: bool = False
    """Whether a document without BT-106 may leave out what was prepaid too."""
    lines: Lines


class _Sums(msgspec.Struct, frozen=True, kw_only=True):
    """The totals as written, in cents; None where the document has none."""

    due: int
    line_total: int | None
    tax_basis: int | None
    grand_total: int | None
    tax: int
    prepaid: int
    rounding: int
    allowances: int
    charges: int
    third_party: int


def due_cents(root: Element, paths: Paths, totals: Totals) -> int:
    """Return the amount due for payment (BT-115), in cents, exactly as written.

    Raises:
        UnreadableDepositError: `missing_amount`, `several_amounts`, `currency`, `amount_format`,
            or `totals_do_not_add_up` when it contradicts the totals beside it, or those the lines.
    """
    path = totals.grand_total if _owes_grand_total(root, paths, totals) else totals.due
    text = paths.required(root, (path,), "missing_amount", "Le net à payer (BT-115) manque.")
    first, *others = paths.every(root, path)
    if others:
        raise paths.refusal(path, "several_amounts", "Le net à payer est écrit plusieurs fois.")
    if first.get("currencyID", CURRENCY) != CURRENCY:
        raise paths.refusal(path, "currency", "Seul l’euro (EUR) est accepté.")
    written = _cents(text)
    if written is None:
        raise paths.refusal(
            path, "amount_format", "Le net à payer n’est pas un nombre entier de centimes."
        )
    amount_cents = written
    if path != totals.due:
        amount_cents -= _total(root, paths, totals.prepaid) or 0
    _check_totals(root, paths, totals, amount_cents)
    return amount_cents


def _owes_grand_total(root: Element, paths: Paths, totals: Totals) -> bool:
    if not totals.is_due_optional:
        return False
    due = paths.text(root, totals.due)
    grand_total = _total(root, paths, totals.grand_total)
    return not due or (_cents(due) == 0 and grand_total is not None and grand_total < 0)


def invoice_lines(
    root: Element, paths: Paths, totals: Totals, amount_cents: int
) -> tuple[InvoiceLine, ...]:
    """Return the lines and what leads from their total to the amount due, or nothing."""
    lines = []
    for item in _counted_lines(root, paths, totals.lines):
        line = _line(item, paths, totals.lines)
        if line is None:
            return ()
        lines.append(line)
    if not lines:
        return ()
    sums = _sums(root, paths, totals, amount_cents)
    for label, cents in (
        ("Remises", -sums.allowances),
        ("Frais et majorations", sums.charges),
        ("TVA", sums.tax),
        ("Déjà versé", -sums.prepaid),
        ("Pour le compte de tiers", sums.third_party),
        ("Arrondi", sums.rounding),
    ):
        if cents:
            lines.append(InvoiceLine(label=label, amount_cents=cents))
    total_cents = sum(line.amount_cents for line in lines)
    return tuple(lines) if total_cents == amount_cents and len(lines) <= INVOICE_LINES else ()


def reversed_line(line: InvoiceLine) -> InvoiceLine:
    """Return the line of a credit note that says what `line` says in a negative invoice."""
    quantity, unit_cents = line.quantity, line.unit_amount_cents
    if quantity.startswith("-"):
        quantity = quantity.removeprefix("-")
    elif unit_cents is not None:
        unit_cents = -unit_cents
    return InvoiceLine(
        label=line.label,
        quantity=quantity,
        unit_amount_cents=unit_cents,
        amount_cents=-line.amount_cents,
    )


def _check_totals(root: Element, paths: Paths, totals: Totals, amount_cents: int) -> None:
    """Refuse totals that contradict each other: EN 16931, rules BR-CO-10 and 13 to 16.

    Sums of many rounded amounts may be off by a cent for each, as the EXTENDED profile allows
    (BR-FXEXT-CO-10, 13 and 15): files of other profiles come from the same programs, so the first
    two are held to no more.
    """
    sums = _sums(root, paths, totals, amount_cents)
    slack = _check_lines(root, paths, totals, sums)
    if sums.line_total is not None:
        net = sums.line_total - sums.allowances + sums.charges
        _require(paths, totals.tax_basis, sums.tax_basis, net, slack)
    parts = [
        _exact(text_of(element))
        for element in paths.every(root, totals.tax_parts)
        if element.get("currencyID", CURRENCY) == CURRENCY
    ]
    known = [part * 100 for part in parts if part is not None]
    if parts and len(known) == len(parts):
        _require(paths, totals.tax_total, sums.tax, sum(known, Decimal(0)), len(parts))
    written, rounding = sums.grand_total, sums.rounding
    if sums.tax_basis is not None:
        gross = sums.tax_basis + sums.tax
        is_extended = "extended" in paths.text(root, totals.profile).casefold()
        # UBL before EN 16931 has the rounding in the total with VAT already.
        if written == gross + rounding:
            rounding = 0
        else:
            _require(paths, totals.grand_total, written, gross, slack if is_extended else 0)
        written = gross if written is None else written
    if written is not None and not (totals.may_hide_prepaid and sums.line_total is None):
        due = written - sums.prepaid + rounding + sums.third_party
        _require(paths, totals.due, sums.due, due, 0)


def _check_lines(root: Element, paths: Paths, totals: Totals, sums: _Sums) -> int:
    """Refuse lines that do not lead to their total; return how many amounts are added up."""
    amounts = [
        _exact(paths.text(item, totals.lines.amount))
        for item in _counted_lines(root, paths, totals.lines)
    ]
    known = [amount * 100 for amount in amounts if amount is not None]
    if amounts and len(known) == len(amounts):
        expected = sum(known, Decimal(0))
        is_gross = totals.may_have_gross_lines and expected == sums.grand_total
        if not is_gross:
            _require(paths, totals.line_total, sums.line_total, expected, len(amounts))
    adjustments = sum(1 for path in totals.adjustments for _ in paths.every(root, path))
    return len(amounts) + adjustments


def _require(
    paths: Paths, path: str, written: int | None, computed: Decimal | int, slack: int
) -> None:
    """Refuse a total that is further than `slack` cents from what it should be."""
    if written is not None and abs(Decimal(written) - computed) > slack:
        raise paths.refusal(
            path,
            "totals_do_not_add_up",
            f"Le total écrit ({format_euros(written)}) n’est pas le total calculé"
            f" ({format_euros(round(computed))}).",
        )


def _sums(root: Element, paths: Paths, totals: Totals, amount_cents: int) -> _Sums:
    grand_total = _total(root, paths, totals.grand_total)
    prepaid = _total(root, paths, totals.prepaid) or 0
    rounding = _total(root, paths, totals.rounding) or 0
    third_party = sum(
        _total_of(element, paths, totals.third_party)
        for element in paths.every(root, totals.third_party)
    )
    gap = amount_cents - ((grand_total or 0) - prepaid + rounding)
    return _Sums(
        due=amount_cents,
        line_total=_total(root, paths, totals.line_total),
        tax_basis=_total(root, paths, totals.tax_basis),
        grand_total=grand_total,
        tax=_tax(root, paths, totals),
        prepaid=prepaid,
        rounding=rounding,
        allowances=_total(root, paths, totals.allowance_total) or 0,
        charges=_total(root, paths, totals.charge_total) or 0,
        third_party=third_party if third_party == gap else 0,
    )


def _tax(root: Element, paths: Paths, totals: Totals) -> int:
    """Return the VAT in euros: BT-111 may repeat it, and plain UBL has a total for each tax."""
    taxes = [
        _total_of(element, paths, totals.tax_total)
        for element in paths.every(root, totals.tax_total)
        if element.get("currencyID", CURRENCY) == CURRENCY
    ]
    tax_basis = _total(root, paths, totals.tax_basis)
    grand_total = _total(root, paths, totals.grand_total)
    is_split = tax_basis is not None and grand_total == tax_basis + sum(taxes)
    return sum(taxes) if is_split else sum(taxes[:1])


def _total(root: Element, paths: Paths, path: str) -> int | None:
    """Return the first total at `path` that is in euros: the VAT may also stand in another."""
    for element in paths.every(root, path):
        if element.get("currencyID", CURRENCY) == CURRENCY and text_of(element):
            return _total_of(element, paths, path)
    return None


def _total_of(element: Element, paths: Paths, path: str) -> int:
    cents = _cents(text_of(element) or "0")
    if cents is None:
        raise paths.refusal(
            path, "amount_format", "Un total n’est pas un nombre entier de centimes."
        )
    return cents


def _counted_lines(root: Element, paths: Paths, lines: Lines) -> list[Element]:
    """Return the lines that have an amount of their own; the others are headings and remarks."""
    return [
        item
        for item in paths.every(root, lines.path)
        # In the EXTENDED profile these two repeat or explain the amounts of other lines.
        if (lines.role is None or paths.text(item, lines.role) not in {"GROUP", "INFORMATION"})
        and paths.text(item, lines.amount)
    ]


def _line(item: Element, paths: Paths, lines: Lines) -> InvoiceLine | None:
    label = shortened(paths.text(item, *lines.labels))
    amount_cents = _cents(paths.text(item, lines.amount))
    quantity = paths.text(item, lines.quantity) or "1"
    if not label or amount_cents is None or not _QUANTITY.fullmatch(quantity):
        return None
    base = paths.text(item, lines.base_quantity) or "1"
    is_for_one = bool(_QUANTITY.fullmatch(base)) and Decimal(base) == 1
    return InvoiceLine(
        label=label,
        quantity=f"{Decimal(quantity).normalize():f}",
        unit_amount_cents=_cents(paths.text(item, lines.price)) if is_for_one else None,
        amount_cents=amount_cents,
    )


def _cents(text: str) -> int | None:
    return parse_euros(text) if _AMOUNT.fullmatch(text) else None


def _exact(text: str) -> Decimal | None:
    """Return an amount in euros that, outside the standard, may have parts of a cent."""
    return Decimal(text) if _EXACT.fullmatch(text) else None
