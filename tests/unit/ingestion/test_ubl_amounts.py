"""The amount of a UBL invoice is read exactly, and its lines lead to it or stay out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.adapters import ubl
from ingestion.domain import InvoiceLine, Rejection
from tests.unit.ingestion.e_invoices import (
    UBL,
    UBL_CREDIT_NOTE,
    draft_of,
    entry_of,
    refusal_of,
)

LINE = UBL.part("line")
TAX = UBL.part("tax")
TOTALS = UBL.part("totals")
PREPAYMENT = (
    '<cac:PrepaidPayment><cbc:PaidAmount currencyID="EUR">{}</cbc:PaidAmount></cac:PrepaidPayment>'
)
SUMS = "/Invoice/cac:LegalMonetaryTotal"


def totals(**amounts: str) -> str:
    """Return the totals of these names and amounts, in this order."""
    return "".join(
        f'<cbc:{name}Amount currencyID="EUR">{amount}</cbc:{name}Amount>'
        for name, amount in amounts.items()
    )


def a_line(name: str, quantity: str, price: str, amount: str, base: str = "1") -> str:
    return f"""
    <cac:InvoiceLine>
      <cbc:ID>1</cbc:ID>
      <cbc:InvoicedQuantity unitCode="C62">{quantity}</cbc:InvoicedQuantity>
      <cbc:LineExtensionAmount currencyID="EUR">{amount}</cbc:LineExtensionAmount>
      <cac:Item><cbc:Name>{name}</cbc:Name></cac:Item>
      <cac:Price>
        <cbc:PriceAmount currencyID="EUR">{price}</cbc:PriceAmount>
        <cbc:BaseQuantity unitCode="C62">{base}</cbc:BaseQuantity>
      </cac:Price>
    </cac:InvoiceLine>
    """


def negative(text: str) -> str:
    """Return the amounts of a part below zero."""
    return text.replace('"EUR">', '"EUR">-')


def test_lines_without_vat_lead_to_what_is_owed() -> None:
    """The VAT follows as a line of its own, so that the lines add up to the amount."""
    draft = draft_of(ubl.read_file, UBL.with_parts())

    assert draft.lines == (
        InvoiceLine(
            label="Location de salle", quantity="2", unit_amount_cents=5000, amount_cents=10000
        ),
        InvoiceLine(label="TVA", amount_cents=2000),
    )


def test_owes_the_payable_amount_and_not_the_total() -> None:
    """Allowances, charges, prepayment and rounding are lines; BT-115 is the amount."""
    adjustments = (
        "<cac:AllowanceCharge><cbc:ChargeIndicator>{}</cbc:ChargeIndicator>"
        '<cbc:Amount currencyID="EUR">{}</cbc:Amount></cac:AllowanceCharge>'
    )
    sums = totals(
        LineExtension="100.00",
        TaxExclusive="90.00",
        TaxInclusive="110.00",
        AllowanceTotal="15.00",
        ChargeTotal="5.00",
        Prepaid="40.00",
        PayableRounding="0.02",
        Payable="70.02",
    )
    charges = adjustments.format("false", "15.00") + adjustments.format("true", "5.00")

    draft = draft_of(ubl.read_file, UBL.with_parts(prepayments=charges, totals=sums))

    assert draft.amount_cents == 7002
    assert [(line.label, line.amount_cents) for line in draft.lines] == [
        ("Location de salle", 10000),
        ("Remises", -1500),
        ("Frais et majorations", 500),
        ("TVA", 2000),
        ("Déjà versé", -4000),
        ("Arrondi", 2),
    ]


def test_reads_the_rounding_of_plain_ubl() -> None:
    """The example of UBL 2.1 itself has the rounding in the total with VAT already."""
    sums = totals(
        LineExtension="100.00",
        TaxExclusive="100.00",
        TaxInclusive="120.30",
        Prepaid="20.00",
        PayableRounding="0.30",
        Payable="100.30",
    )

    draft = draft_of(ubl.read_file, UBL.with_parts(totals=sums))

    assert draft.amount_cents == 10030
    assert [line.amount_cents for line in draft.lines] == [10000, 2000, -2000, 30]


def test_the_rounding_counts_once() -> None:
    """A total that is rounded already and a payable amount rounded again contradict each other."""
    sums = totals(
        LineExtension="100.00",
        TaxExclusive="100.00",
        TaxInclusive="120.30",
        PayableRounding="0.30",
        Payable="120.60",
    )

    refusal = refusal_of(ubl.read_file, UBL.with_parts(totals=sums))

    assert refusal == ("totals_do_not_add_up", f"{SUMS}/cbc:PayableAmount")


def test_adds_what_is_claimed_for_somebody_else() -> None:
    """The extension of XRechnung writes BT-DEX-002 where others write what was prepaid."""
    sums = TOTALS.replace('"EUR">120.00</cbc:Payable', '"EUR">149.96</cbc:Payable')
    claims = PREPAYMENT.format("19.96") + PREPAYMENT.format("10.00")

    draft = draft_of(ubl.read_file, UBL.with_parts(prepayments=claims, totals=sums))

    assert draft.amount_cents == 14996
    assert draft.lines[-1] == InvoiceLine(label="Pour le compte de tiers", amount_cents=2996)


def test_a_prepayment_that_is_listed_counts_once() -> None:
    """The same element lists what `PrepaidAmount` deducts."""
    paid = PREPAYMENT.format("20.00")
    sums = totals(
        LineExtension="100.00",
        TaxExclusive="100.00",
        TaxInclusive="120.00",
        Prepaid="20.00",
        Payable="100.00",
    )

    draft = draft_of(ubl.read_file, UBL.with_parts(prepayments=paid, totals=sums))

    assert draft.amount_cents == 10000
    assert [line.amount_cents for line in draft.lines] == [10000, 2000, -2000]


def test_reads_what_has_no_total_but_the_payable_amount() -> None:
    """All that plain UBL demands."""
    sums = totals(Payable="120.00")

    draft = draft_of(ubl.read_file, UBL.with_parts(tax="", line=LINE, totals=sums))

    assert (draft.amount_cents, draft.lines) == (12000, ())


def test_adds_up_several_rates_of_vat_and_negative_lines() -> None:
    """Lines of any sign, prices of a part of a cent, and the VAT of every rate."""
    line = (
        a_line("Repas", "1000", "0.1234", "123.40")
        + a_line("Cantine", "-2", "11.70", "-23.40")
        + a_line("Crayons", "50", "10.00", "5.00", base="100")
    )
    subtotal = (
        '<cac:TaxSubtotal><cbc:TaxableAmount currencyID="EUR">{}</cbc:TaxableAmount>'
        '<cbc:TaxAmount currencyID="EUR">{}</cbc:TaxAmount><cac:TaxCategory><cbc:ID>S</cbc:ID>'
        "<cac:TaxScheme><cbc:ID>VAT</cbc:ID></cac:TaxScheme></cac:TaxCategory></cac:TaxSubtotal>"
    )
    rates = subtotal.format("100.00", "10.00") + subtotal.format("5.00", "0.28")
    tax = (
        f'<cac:TaxTotal><cbc:TaxAmount currencyID="EUR">10.28</cbc:TaxAmount>{rates}</cac:TaxTotal>'
    )
    sums = totals(
        LineExtension="105.00", TaxExclusive="105.00", TaxInclusive="115.28", Payable="115.28"
    )

    draft = draft_of(ubl.read_file, UBL.with_parts(tax=tax, line=line, totals=sums))

    assert draft.amount_cents == 11528
    assert draft.lines == (
        InvoiceLine(label="Repas", quantity="1000", amount_cents=12340),
        InvoiceLine(label="Cantine", quantity="-2", unit_amount_cents=1170, amount_cents=-2340),
        InvoiceLine(label="Crayons", quantity="50", amount_cents=500),
        InvoiceLine(label="TVA", amount_cents=1028),
    )


def test_takes_the_vat_in_euros_among_two() -> None:
    """BT-111 repeats the VAT in the seller's accounting currency."""
    other = '<cac:TaxTotal><cbc:TaxAmount currencyID="CHF">18.70</cbc:TaxAmount></cac:TaxTotal>'

    draft = draft_of(ubl.read_file, UBL.with_parts(tax=other + TAX))

    assert draft.lines[-1] == InvoiceLine(label="TVA", amount_cents=2000)


def test_adds_up_a_total_for_each_tax() -> None:
    """Plain UBL has one `TaxTotal` for each kind of tax; EN 16931 a second as a repetition."""
    other = TAX.replace("20.00", "3.00").replace("100.00", "15.00")
    repetition = (
        '<cac:TaxTotal><cbc:TaxAmount currencyID="EUR">20.00</cbc:TaxAmount></cac:TaxTotal>'
    )
    sums = TOTALS.replace(">120.00", ">123.00")

    split = draft_of(ubl.read_file, UBL.with_parts(tax=TAX + other, totals=sums))
    repeated = draft_of(ubl.read_file, UBL.with_parts(tax=TAX + repetition))

    assert split.lines[-1] == InvoiceLine(label="TVA", amount_cents=2300)
    assert repeated.lines[-1] == InvoiceLine(label="TVA", amount_cents=2000)


@pytest.mark.parametrize(
    ("written", "changed", "path"),
    [
        ("120.00</cbc:Payable", "12.00</cbc:Payable", f"{SUMS}/cbc:PayableAmount"),
        ("120.00</cbc:TaxInc", "130.00</cbc:TaxInc", f"{SUMS}/cbc:TaxInclusiveAmount"),
        ("100.00</cbc:TaxExc", "99.00</cbc:TaxExc", f"{SUMS}/cbc:TaxExclusiveAmount"),
        ("100.00</cbc:Line", "102.00</cbc:Line", f"{SUMS}/cbc:LineExtensionAmount"),
    ],
)
def test_refuses_totals_that_contradict_each_other(written: str, changed: str, path: str) -> None:
    """EN 16931 BR-CO-10 and 13 to 16: the citizen would be asked another sum than the paper's."""
    assert written in TOTALS

    refusal = refusal_of(ubl.read_file, UBL.with_parts(totals=TOTALS.replace(written, changed)))

    assert refusal == ("totals_do_not_add_up", path)


def test_refuses_a_vat_that_is_not_the_sum_of_its_rates() -> None:
    """EN 16931 BR-CO-14; a rate may be off by its rounding, which is a cent."""
    a_cent = TAX.replace("20.00</cbc:TaxAmount>\n      <cac", "20.01</cbc:TaxAmount>\n      <cac")
    two_cents = a_cent.replace("20.01", "20.02")
    assert a_cent != TAX

    refusal = refusal_of(ubl.read_file, UBL.with_parts(tax=two_cents))

    assert draft_of(ubl.read_file, UBL.with_parts(tax=a_cent)).amount_cents == 12000
    assert refusal == ("totals_do_not_add_up", "/Invoice/cac:TaxTotal/cbc:TaxAmount")


def test_lets_lines_be_off_by_their_rounding() -> None:
    """BR-FXEXT-CO-10: a cent for each line; such lines explain nothing and stay out."""
    line = a_line("A", "1", "33.33", "33.33") * 2 + a_line("B", "1", "33.33", "33.33")

    draft = draft_of(ubl.read_file, UBL.with_parts(line=line))

    assert (draft.amount_cents, draft.lines) == (12000, ())


def test_says_both_figures_of_a_contradiction() -> None:
    """The biller sees the total written and the total computed."""
    sums = TOTALS.replace("120.00</cbc:Payable", "1234.50</cbc:Payable")

    entry = entry_of(ubl.read_file, UBL.with_parts(totals=sums))

    assert entry.found == Rejection(
        code="totals_do_not_add_up",
        pointer="/cac:LegalMonetaryTotal/cbc:PayableAmount",
        message="Le total écrit (1\u202f234,50\u00a0€) n’est pas le total calculé (120,00\u00a0€).",
    )
    assert entry.place == "/Invoice"


@pytest.mark.parametrize("type_code", ["380", "384"])
def test_a_negative_invoice_gives_money_back(type_code: str) -> None:
    """Peppol BIS Billing 3.0 corrects by a negative invoice as well as by a credit note."""
    line = LINE.replace('C62">2', 'C62">-2').replace('"EUR">100.00', '"EUR">-100.00')
    xml = UBL.with_parts(
        type_code=f"<cbc:InvoiceTypeCode>{type_code}</cbc:InvoiceTypeCode>",
        tax=negative(TAX),
        totals=negative(TOTALS),
        line=line,
    )

    draft = draft_of(ubl.read_file, xml)

    assert (draft.kind, draft.amount_cents) == ("credit_note", 12000)
    assert draft.lines == draft_of(ubl.read_file, UBL.with_parts()).lines


def test_a_negative_credit_note_is_left_to_the_rules_of_entry() -> None:
    """It may be a sign written twice: it never becomes a claim."""
    xml = UBL_CREDIT_NOTE.with_parts(
        tax=negative(TAX),
        totals=negative(TOTALS),
        line=UBL_CREDIT_NOTE.part("line").replace('"EUR">100.00', '"EUR">-100.00'),
    )

    draft = draft_of(ubl.read_file, xml)

    assert (draft.kind, draft.amount_cents) == ("credit_note", -12000)


@pytest.mark.parametrize(
    "amount", ["120", "120.", "120.0", "+120.0000", " 120.00\n", "12<!-- cut -->0.00"]
)
def test_reads_an_amount_that_is_whole_cents(amount: str) -> None:
    """Zeros after the cents change nothing, and a comment does not cut the number."""
    sums = TOTALS.replace(">120.00</cbc:Pay", f">{amount}</cbc:Pay")

    draft = draft_of(ubl.read_file, UBL.with_parts(totals=sums))

    assert draft.amount_cents == 12000


@pytest.mark.parametrize("amount", ["120.001", "1e2", "NaN", "INF", "1_000", "120,00", "１２０"])
def test_refuses_an_amount_that_is_not_whole_cents(amount: str) -> None:
    """Nothing is rounded, nothing is guessed."""
    sums = TOTALS.replace(">120.00</cbc:Pay", f">{amount}</cbc:Pay")

    refusal = refusal_of(ubl.read_file, UBL.with_parts(totals=sums))

    assert refusal == ("amount_format", f"{SUMS}/cbc:PayableAmount")


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        (
            {"currency": "<cbc:DocumentCurrencyCode>USD</cbc:DocumentCurrencyCode>"},
            "/Invoice/cbc:DocumentCurrencyCode",
        ),
        (
            {"currency": "<cbc:DocumentCurrencyCode>eur</cbc:DocumentCurrencyCode>"},
            "/Invoice/cbc:DocumentCurrencyCode",
        ),
        (
            {"totals": TOTALS.replace('"EUR">120.00</cbc:Pay', '"USD">120.00</cbc:Pay')},
            f"{SUMS}/cbc:PayableAmount",
        ),
    ],
)
def test_refuses_another_currency(changes: dict[str, str], path: str) -> None:
    """Only euros are owed to a French authority."""
    refusal = refusal_of(ubl.read_file, UBL.with_parts(**changes))

    assert refusal == ("currency", path)


def test_refuses_an_invoice_without_its_amount() -> None:
    """What is owed is never computed from the rest."""
    sums = totals(LineExtension="100.00", TaxExclusive="100.00", TaxInclusive="120.00")

    refusal = refusal_of(ubl.read_file, UBL.with_parts(totals=sums))

    assert refusal == ("missing_amount", f"{SUMS}/cbc:PayableAmount")


@given(st.integers(0, 10**11))
def test_every_amount_of_cents_arrives_exactly(cents: int) -> None:
    """No amount passes through a float."""
    sums = totals(Payable=f"{cents // 100}.{cents % 100:02d}")

    draft = draft_of(ubl.read_file, UBL.with_parts(tax="", totals=sums))

    assert draft.amount_cents == cents
