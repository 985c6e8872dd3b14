"""Reads the amounts of a Cross Industry Invoice: what is owed, and the lines that lead to it."""

import re
from decimal import Decimal

from ingestion.adapters.cii_fields import (
    LINE,
    LINE_NAME,
    NAMESPACES,
    SETTLEMENT,
    refusal,
    required_text,
    shortened,
    text_at,
)
from ingestion.adapters.xml_reader import Element, text_of
from ingestion.domain import INVOICE_LINES, InvoiceLine
from shared.money import CURRENCY, format_euros, parse_euros

_TOTALS = f"{SETTLEMENT}/ram:SpecifiedTradeSettlementHeaderMonetarySummation"
_DUE_AMOUNT = f"{_TOTALS}/ram:DuePayableAmount"  # BT-115
_LINE_TOTAL = f"{_TOTALS}/ram:LineTotalAmount"  # BT-106
_TAX_BASIS = f"{_TOTALS}/ram:TaxBasisTotalAmount"  # BT-109
_GRAND_TOTAL = f"{_TOTALS}/ram:GrandTotalAmount"  # BT-112
_PREPAID = f"{_TOTALS}/ram:TotalPrepaidAmount"  # BT-113
_ROUNDING = f"{_TOTALS}/ram:RoundingAmount"  # BT-114
_TAX_TOTAL = f"{_TOTALS}/ram:TaxTotalAmount"  # BT-110, and BT-111 in another currency

_ADJUSTMENTS = (
    ("Remises", f"{_TOTALS}/ram:AllowanceTotalAmount", -1),  # BT-107
    ("Frais et majorations", f"{_TOTALS}/ram:ChargeTotalAmount", 1),  # BT-108
    ("TVA", _TAX_TOTAL, 1),
    ("Déjà versé", _PREPAID, -1),
    ("Arrondi", _ROUNDING, 1),
)

_AMOUNT = re.compile(r"[+-]?(?:[0-9]{1,12}(?:\.[0-9]{0,2}0*)?|\.[0-9]{1,2}0*)")
_QUANTITY = re.compile(r"[+-]?[0-9]{1,9}(?:\.[0-9]{1,6}0*)?")


def due_cents(root: Element) -> int:
    """Return the amount due for payment (BT-115), in cents, exactly as written.

    Raises:
        UnreadableDepositError: `missing_amount`, `several_amounts`, `currency`, `amount_format`,
            or `totals_do_not_add_up` when it contradicts the totals beside it.
    """
    text = required_text(root, _DUE_AMOUNT, "missing_amount", "Le net à payer (BT-115) manque.")
    first, *others = root.iterfind(_DUE_AMOUNT, NAMESPACES)
    if others:
        raise refusal(_DUE_AMOUNT, "several_amounts", "Le net à payer est écrit plusieurs fois.")
    if first.get("currencyID", CURRENCY) != CURRENCY:
        raise refusal(_DUE_AMOUNT, "currency", "Seul l’euro (EUR) est accepté.")
    amount_cents = _cents(text)
    if amount_cents is None:
        raise refusal(
            _DUE_AMOUNT, "amount_format", "Le net à payer n’est pas un nombre entier de centimes."
        )
    _check_totals(root, amount_cents)
    return amount_cents


def invoice_lines(root: Element, amount_cents: int) -> tuple[InvoiceLine, ...]:
    """Return the lines and what leads from their total to the amount due, or nothing."""
    lines = []
    for item in root.iterfind(LINE, NAMESPACES):
        status = text_at(item, "ram:AssociatedDocumentLineDocument/ram:LineStatusReasonCode")
        # In the EXTENDED profile these two repeat or explain the amounts of other lines.
        if status in {"GROUP", "INFORMATION"}:
            continue
        line = _line(item)
        if line is None:
            return ()
        lines.append(line)
    if not lines:
        return ()
    for label, path, sign in _ADJUSTMENTS:
        adjustment = _total(root, path)
        if adjustment:
            lines.append(InvoiceLine(label=label, amount_cents=sign * adjustment))
    total_cents = sum(line.amount_cents for line in lines)
    return tuple(lines) if total_cents == amount_cents and len(lines) <= INVOICE_LINES else ()


def _check_totals(root: Element, amount_cents: int) -> None:
    """Refuse totals that contradict each other: EN 16931, rules BR-CO-15 and BR-CO-16."""
    # The MINIMUM profile has no line total and cannot say what was prepaid.
    if root.find(_LINE_TOTAL, NAMESPACES) is None:
        return
    grand_total = _total(root, _GRAND_TOTAL)
    for path, written, computed in (
        (_GRAND_TOTAL, grand_total, _total(root, _TAX_BASIS) + _total(root, _TAX_TOTAL)),
        (
            _DUE_AMOUNT,
            amount_cents,
            grand_total - _total(root, _PREPAID) + _total(root, _ROUNDING),
        ),
    ):
        if written != computed:
            raise refusal(
                path,
                "totals_do_not_add_up",
                f"Le total écrit ({format_euros(written)}) n’est pas le total calculé"
                f" ({format_euros(computed)}).",
            )


def _total(root: Element, path: str) -> int:
    cents = _cents(_euro_text(root, path) or "0")
    if cents is None:
        raise refusal(path, "amount_format", "Un total n’est pas un nombre entier de centimes.")
    return cents


def _cents(text: str) -> int | None:
    return parse_euros(text) if _AMOUNT.fullmatch(text) else None


def _line(item: Element) -> InvoiceLine | None:
    label = shortened(text_at(item, LINE_NAME))
    settlement = "ram:SpecifiedLineTradeSettlement"
    amount_cents = _cents(  # BT-131
        text_at(
            item,
            f"{settlement}/ram:SpecifiedTradeSettlementLineMonetarySummation/ram:LineTotalAmount",
        )
    )
    quantity = text_at(item, "ram:SpecifiedLineTradeDelivery/ram:BilledQuantity")  # BT-129
    if not label or amount_cents is None or not _QUANTITY.fullmatch(quantity):
        return None
    price = "ram:SpecifiedLineTradeAgreement/ram:NetPriceProductTradePrice"
    unit_amount = text_at(item, f"{price}/ram:ChargeAmount")  # BT-146
    base = text_at(item, f"{price}/ram:BasisQuantity") or "1"  # BT-149
    is_for_one = bool(_QUANTITY.fullmatch(base)) and Decimal(base) == 1
    return InvoiceLine(
        label=label,
        quantity=f"{Decimal(quantity).normalize():f}",
        unit_amount_cents=_cents(unit_amount) if is_for_one else None,
        amount_cents=amount_cents,
    )


def _euro_text(root: Element, path: str) -> str:
    """Return the first amount at `path` that is in euros: the VAT may also stand in another."""
    for element in root.iterfind(path, NAMESPACES):
        if element.get("currencyID", CURRENCY) == CURRENCY:
            return text_of(element)
    return ""
