"""The amount of a Cross Industry Invoice is read exactly, and its lines lead to it or stay out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.domain import InvoiceLine, UnreadableDepositError
from tests.unit.ingestion.e_invoices import CII, read_cii

EXTENDED = "urn:cen.eu:en16931:2017#conformant#urn:factur-x.eu:1p0:extended"
MINIMUM = "urn:factur-x.eu:1p0:minimum"
TOTALS_PATH = (
    "/rsm:CrossIndustryInvoice/rsm:SupplyChainTradeTransaction"
    "/ram:ApplicableHeaderTradeSettlement/ram:SpecifiedTradeSettlementHeaderMonetarySummation"
)


LINE = CII.part("line")
TOTALS = CII.part("totals")


def refusal_of(xml: bytes) -> tuple[str, str]:
    """Return code and pointer of the refusal of `xml`."""
    with pytest.raises(UnreadableDepositError) as caught:
        read_cii(xml, "SALLES")
    return caught.value.code, caught.value.pointer


def test_lines_without_vat_lead_to_what_is_owed() -> None:
    """The VAT follows as a line of its own, so that the lines add up to the amount."""
    draft = read_cii(CII.with_parts(), "SALLES")

    lines = draft.lines

    assert lines == (
        InvoiceLine(
            label="Location de salle", quantity="2", unit_amount_cents=5000, amount_cents=10000
        ),
        InvoiceLine(label="TVA", amount_cents=2000),
    )


def test_owes_the_amount_due_and_not_the_grand_total() -> None:
    """Allowances, charges, prepayment and rounding are lines; BT-115 is the amount."""
    totals = """
        <ram:LineTotalAmount>100.00</ram:LineTotalAmount>
        <ram:ChargeTotalAmount>5.00</ram:ChargeTotalAmount>
        <ram:AllowanceTotalAmount>15.00</ram:AllowanceTotalAmount>
        <ram:TaxBasisTotalAmount>90.00</ram:TaxBasisTotalAmount>
        <ram:TaxTotalAmount currencyID="EUR">18.00</ram:TaxTotalAmount>
        <ram:RoundingAmount>0.02</ram:RoundingAmount>
        <ram:GrandTotalAmount>108.00</ram:GrandTotalAmount>
        <ram:TotalPrepaidAmount>40.00</ram:TotalPrepaidAmount>
        <ram:DuePayableAmount>68.02</ram:DuePayableAmount>
    """

    draft = read_cii(CII.with_parts(totals=totals), "SALLES")

    assert draft.amount_cents == 6802
    assert [(line.label, line.amount_cents) for line in draft.lines] == [
        ("Location de salle", 10000),
        ("Remises", -1500),
        ("Frais et majorations", 500),
        ("TVA", 1800),
        ("Déjà versé", -4000),
        ("Arrondi", 2),
    ]


def test_leaves_out_lines_that_do_not_lead_to_the_amount() -> None:
    """BR-FXEXT-CO-10 lets a sum be off by a cent for each line; citizens see sums that are not."""
    line = LINE.replace("100.00</ram:LineTotalAmount>", "99.99</ram:LineTotalAmount>")

    draft = read_cii(CII.with_parts(line=line), "SALLES")

    assert (draft.amount_cents, draft.lines) == (12000, ())


@pytest.mark.parametrize(
    ("price", "quantity", "expected"),
    [
        ("<ram:ChargeAmount>0.125</ram:ChargeAmount>", "800", ("800", None)),
        (
            (
                '<ram:ChargeAmount>12.50</ram:ChargeAmount><ram:BasisQuantity unitCode="C62">100'
                "</ram:BasisQuantity>"
            ),
            "800.50",
            ("800.5", None),
        ),
        (
            (
                '<ram:ChargeAmount>12.50</ram:ChargeAmount><ram:BasisQuantity unitCode="C62">1.00'
                "</ram:BasisQuantity>"
            ),
            "8",
            ("8", 1250),
        ),
    ],
)
def test_gives_a_unit_price_only_when_it_is_whole_cents_for_one(
    price: str, quantity: str, expected: tuple[str, int | None]
) -> None:
    """No unit price is rounded, and none for a hundred pieces passes for one."""
    line = LINE.replace("<ram:ChargeAmount>50.0000</ram:ChargeAmount>", price).replace(
        "2.0000", quantity
    )

    draft = read_cii(CII.with_parts(line=line), "SALLES")

    assert (draft.lines[0].quantity, draft.lines[0].unit_amount_cents) == expected


def test_counts_a_grouping_line_once() -> None:
    """In EXTENDED a GROUP line repeats the sum of its details."""
    status = "<ram:LineStatusCode>1</ram:LineStatusCode><ram:LineStatusReasonCode>GROUP"
    group = LINE.replace(
        "<ram:LineID>1</ram:LineID>",
        f"<ram:LineID>0</ram:LineID>{status}</ram:LineStatusReasonCode>",
    )

    draft = read_cii(CII.with_parts(profile=EXTENDED, line=group + LINE), "SALLES")

    assert [line.amount_cents for line in draft.lines] == [10000, 2000]


@pytest.mark.parametrize(
    ("amount", "cents"),
    [
        ("120", 12000),
        ("120.", 12000),
        ("120.0", 12000),
        ("+120.0000", 12000),
        (" 120.00\n", 12000),
        ("12<!-- cut -->0.00", 12000),
    ],
)
def test_reads_an_amount_that_is_whole_cents(amount: str, cents: int) -> None:
    """Zeros after the cents change nothing, and a comment does not cut the number."""
    draft = read_cii(
        CII.with_parts(totals=TOTALS.replace(">120.00</ram:Due", f">{amount}</ram:Due")), "S"
    )

    assert draft.amount_cents == cents


@pytest.mark.parametrize("amount", ["120.001", "120.005", "0.1234", "1" * 13])
def test_refuses_an_amount_that_is_not_whole_cents(amount: str) -> None:
    """Nothing is rounded, and nothing is larger than any invoice."""
    refusal = refusal_of(
        CII.with_parts(totals=TOTALS.replace(">120.00</ram:Due", f">{amount}</ram:Due"))
    )

    assert refusal == ("amount_format", f"{TOTALS_PATH}/ram:DuePayableAmount")


@pytest.mark.parametrize("amount", ["1e2", "NaN", "INF", "1_000", "120,00", "１２０"])
def test_refuses_an_amount_that_is_no_decimal(amount: str) -> None:
    """Other ways of writing a number are not guessed."""
    code, pointer = refusal_of(
        CII.with_parts(totals=TOTALS.replace(">120.00</ram:Due", f">{amount}</ram:Due"))
    )

    assert (code, pointer) == ("amount_format", f"{TOTALS_PATH}/ram:DuePayableAmount")


@pytest.mark.parametrize(
    ("written", "total", "path"),
    [
        (">120.00</ram:Due", ">12.00</ram:Due", "ram:DuePayableAmount"),
        (">100.00</ram:LineTotal", ">102.00</ram:LineTotal", "ram:LineTotalAmount"),
        (">100.00</ram:TaxBasis", ">98.00</ram:TaxBasis", "ram:TaxBasisTotalAmount"),
        (">120.00</ram:Grand", ">130.00</ram:Grand", "ram:GrandTotalAmount"),
        (">20.00</ram:Tax", ">19.99</ram:Tax", "ram:GrandTotalAmount"),
    ],
)
def test_refuses_totals_that_contradict_each_other(written: str, total: str, path: str) -> None:
    """EN 16931 BR-CO-15 and BR-CO-16: the citizen would be asked another sum than the paper's."""
    refusal = refusal_of(CII.with_parts(totals=TOTALS.replace(written, total)))

    assert refusal == ("totals_do_not_add_up", f"{TOTALS_PATH}/{path}")


def test_extended_lets_the_total_with_vat_be_off_by_its_rounding() -> None:
    """BR-FXEXT-CO-15: a cent for each amount added up, and only in that profile."""
    totals = TOTALS.replace(">120.00</ram:Grand", ">120.01</ram:Grand")
    totals = totals.replace(">120.00</ram:Due", ">120.01</ram:Due")

    draft = read_cii(CII.with_parts(profile=EXTENDED, totals=totals), "SALLES")
    code, pointer = refusal_of(CII.with_parts(totals=totals))

    assert (draft.amount_cents, draft.lines) == (12001, ())
    assert (code, pointer) == ("totals_do_not_add_up", f"{TOTALS_PATH}/ram:GrandTotalAmount")


def test_adds_what_is_claimed_for_somebody_else() -> None:
    """BR-FXEXT-CO-16: BT-179 comes on top of the invoice's own total."""
    xml = CII.with_parts(
        profile=EXTENDED, totals=TOTALS.replace(">120.00</ram:Due", ">150.00</ram:Due")
    ).replace(
        b"</ram:SpecifiedTradeSettlementHeaderMonetarySummation>",
        b"</ram:SpecifiedTradeSettlementHeaderMonetarySummation>"
        b"<ram:SpecifiedFinancialAdjustment><ram:Reason>Eau</ram:Reason>"
        b"<ram:ActualAmount>30.00</ram:ActualAmount></ram:SpecifiedFinancialAdjustment>",
    )

    draft = read_cii(xml, "SALLES")

    assert draft.amount_cents == 15000
    assert draft.lines[-1] == InvoiceLine(label="Pour le compte de tiers", amount_cents=3000)


def test_says_both_figures_of_a_contradiction() -> None:
    """The biller sees the total written and the total computed."""
    totals = TOTALS.replace(">120.00</ram:Due", ">1234.50</ram:Due")

    with pytest.raises(UnreadableDepositError) as caught:
        read_cii(CII.with_parts(totals=totals), "SALLES")

    assert caught.value.detail == (
        "Le total écrit (1\u202f234,50\u00a0€) n’est pas le total calculé (120,00\u00a0€)."
    )


def test_takes_the_vat_in_euros_among_two() -> None:
    """BT-111 repeats the VAT in the seller's accounting currency."""
    euro_tax = '<ram:TaxTotalAmount currencyID="EUR">20.00</ram:TaxTotalAmount>'
    both = '<ram:TaxTotalAmount currencyID="CHF">18.70</ram:TaxTotalAmount>' + euro_tax

    draft = read_cii(CII.with_parts(totals=TOTALS.replace(euro_tax, both)), "SALLES")

    assert draft.lines[-1] == InvoiceLine(label="TVA", amount_cents=2000)


def test_a_negative_invoice_gives_money_back() -> None:
    """EN 16931 takes an invoice back by one below zero as well as by a credit note."""
    line = LINE.replace(">100.00</ram:LineTotal", ">-100.00</ram:LineTotal")
    line = line.replace(">2.0000<", ">-2.0000<")
    totals = TOTALS.replace(">1", ">-1").replace(">20", ">-20")

    draft = read_cii(CII.with_parts(totals=totals, line=line), "SALLES")

    assert (draft.kind, draft.amount_cents) == ("credit_note", 12000)
    assert draft.lines == read_cii(CII.with_parts(), "SALLES").lines


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"currency": "USD"}, "ram:InvoiceCurrencyCode"),
        (
            {"totals": TOTALS.replace("DuePayableAmount>1", 'DuePayableAmount currencyID="USD">1')},
            "ram:SpecifiedTradeSettlementHeaderMonetarySummation/ram:DuePayableAmount",
        ),
    ],
)
def test_refuses_another_currency(changes: dict[str, str], path: str) -> None:
    """Only euros are owed to a French authority."""
    code, pointer = refusal_of(CII.with_parts(**changes))

    assert code == "currency"
    assert pointer.endswith(path)


def test_reads_the_minimum_profile() -> None:
    """It has no line, no address and no prepayment, and still says what is owed."""
    totals = """
        <ram:TaxBasisTotalAmount>100.00</ram:TaxBasisTotalAmount>
        <ram:TaxTotalAmount currencyID="EUR">20.00</ram:TaxTotalAmount>
        <ram:GrandTotalAmount>120.00</ram:GrandTotalAmount>
        <ram:DuePayableAmount>70.00</ram:DuePayableAmount>
    """
    xml = CII.with_parts(
        profile=MINIMUM, line="", buyer="<ram:Name>Éloïse</ram:Name>", terms="", totals=totals
    )

    draft = read_cii(xml, "SALLES")

    assert (draft.amount_cents, draft.lines, draft.payer.address) == (7000, (), None)
    assert draft.subject == "Facture 2026-001"


@given(st.integers(0, 10**11))
def test_every_amount_of_cents_arrives_exactly(cents: int) -> None:
    """No amount passes through a float."""
    totals = f"""
        <ram:TaxBasisTotalAmount>0.00</ram:TaxBasisTotalAmount>
        <ram:GrandTotalAmount>0.00</ram:GrandTotalAmount>
        <ram:DuePayableAmount>{cents // 100}.{cents % 100:02d}</ram:DuePayableAmount>
    """
    xml = CII.with_parts(
        profile=MINIMUM, line="", buyer="<ram:Name>É</ram:Name>", terms="", totals=totals
    )

    draft = read_cii(xml, "SALLES")

    assert draft.amount_cents == cents


@pytest.mark.parametrize(
    ("written", "other"),
    [
        ("100.00</ram:LineTotalAmount>", "100.001</ram:LineTotalAmount>"),
        ("2.0000</ram:BilledQuantity>", "2.00000001</ram:BilledQuantity>"),
        ("Location de salle", " "),
    ],
)
def test_leaves_out_lines_that_cannot_be_shown_exactly(written: str, other: str) -> None:
    """Lines explain the amount; one that would need rounding takes none of it away."""
    assert written in LINE

    draft = read_cii(CII.with_parts(line=LINE.replace(written, other)), "SALLES")

    assert (draft.amount_cents, draft.lines) == (12000, ())


def test_refuses_a_total_that_is_not_whole_cents() -> None:
    """The totals beside the amount due are held to the same rule."""
    refusal = refusal_of(
        CII.with_parts(totals=TOTALS.replace(">20.00</ram:Tax", ">20.001</ram:Tax"))
    )

    assert refusal == ("amount_format", f"{TOTALS_PATH}/ram:TaxTotalAmount")
