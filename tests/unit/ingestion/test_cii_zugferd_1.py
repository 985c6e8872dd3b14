"""ZUGFeRD 1.0, the forerunner of Factur-X, is read as the CII that it became."""

from datetime import date

import pytest

from ingestion.adapters import cii
from tests.unit.ingestion.e_invoices import CII, ZUGFERD_1, draft_of, entry_of, refusal_of

LINE = ZUGFERD_1.part("line")
TOTALS = ZUGFERD_1.part("totals")
DUE = '<ram:DuePayableAmount currencyID="EUR">120.00</ram:DuePayableAmount>'
SUMS = (
    "/rsm:CrossIndustryDocument/rsm:SpecifiedSupplyChainTradeTransaction"
    "/ram:ApplicableSupplyChainTradeSettlement/ram:SpecifiedTradeSettlementMonetarySummation"
)


def test_says_the_same_as_the_cii_of_the_same_invoice() -> None:
    """Other names of groups, the same terms."""
    old = draft_of(cii.read_file, ZUGFERD_1.with_parts())
    new = draft_of(cii.read_file, CII.with_parts())

    assert old == new
    assert entry_of(cii.read_file, ZUGFERD_1.with_parts()).place == "/rsm:CrossIndustryDocument"


@pytest.mark.parametrize("profile", ["basic", "comfort", "extended"])
def test_reads_every_profile(profile: str) -> None:
    """One schema holds all three."""
    identifier = f"urn:ferd:CrossIndustryDocument:invoice:1p0:{profile}"

    draft = draft_of(cii.read_file, ZUGFERD_1.with_parts(profile=identifier))

    assert draft.amount_cents == 12000


def test_a_basic_invoice_owes_its_grand_total() -> None:
    """The profile ends there; a prepayment is deducted if it is written all the same."""
    assert DUE in TOTALS
    basic = TOTALS.replace(DUE, "")
    prepaid = TOTALS.replace(
        DUE, '<ram:TotalPrepaidAmount currencyID="EUR">50.00</ram:TotalPrepaidAmount>'
    )

    whole = draft_of(cii.read_file, ZUGFERD_1.with_parts(totals=basic))
    rest = draft_of(cii.read_file, ZUGFERD_1.with_parts(totals=prepaid))

    assert (whole.amount_cents, rest.amount_cents) == (12000, 7000)
    assert [line.amount_cents for line in rest.lines] == [10000, 2000, -5000]


def test_gross_lines_stay_out() -> None:
    """A line may have the VAT in it: such lines do not lead to the total without VAT."""
    line = LINE.replace(">100.00</ram:LineTotal", ">120.00</ram:LineTotal")
    assert line != LINE

    draft = draft_of(cii.read_file, ZUGFERD_1.with_parts(line=line))

    assert (draft.amount_cents, draft.lines) == (12000, ())


def test_a_correction_gives_back_its_grand_total() -> None:
    """The official example of a correction says that nothing is due to the seller."""
    totals = TOTALS.replace('"EUR">', '"EUR">-').replace("-120.00</ram:Due", "0.00</ram:Due")
    line = LINE.replace(">100.00</ram:LineTotal", ">-100.00</ram:LineTotal")

    draft = draft_of(cii.read_file, ZUGFERD_1.with_parts(line=line, totals=totals))

    assert (draft.kind, draft.amount_cents) == ("credit_note", 12000)
    assert draft.due_on == date(2026, 12, 1)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"totals": TOTALS.replace(">120.00</ram:Due", ">12.00</ram:Due")},
            ("totals_do_not_add_up", f"{SUMS}/ram:DuePayableAmount"),
        ),
        (
            {"totals": TOTALS.replace(">100.00</ram:LineTotal", ">900.00</ram:LineTotal")},
            ("totals_do_not_add_up", f"{SUMS}/ram:LineTotalAmount"),
        ),
        (
            {"type_code": "325"},
            (
                "document_type",
                "/rsm:CrossIndustryDocument/rsm:HeaderExchangedDocument/ram:TypeCode",
            ),
        ),
        (
            {"settlement": "<ram:Bonus/>"},
            (
                "xsd_invalid",
                (
                    "/rsm:CrossIndustryDocument/rsm:SpecifiedSupplyChainTradeTransaction"
                    "/ram:ApplicableSupplyChainTradeSettlement/ram:Bonus"
                ),
            ),
        ),
    ],
)
def test_says_what_is_wrong_and_where(changes: dict[str, str], expected: tuple[str, str]) -> None:
    """Each fault has its code and a path into the XML."""
    refusal = refusal_of(cii.read_file, ZUGFERD_1.with_parts(**changes))

    assert refusal == expected
