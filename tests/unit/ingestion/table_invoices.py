"""Valid invoices of every kind, and the rows of a table that say them."""

from datetime import date, timedelta

from hypothesis import strategies as st

from ingestion.domain import InvoiceDraft, Payer

COLUMNS = (
    "Régie",
    "N° facture",
    "Date facture",
    "Échéance",
    "Net à payer",
    "Objet",
    "Type de document",
    "Code famille",
    "Nom",
    "Courriel",
    "Adresse",
    "Fichier PDF",
    "Version",
    "Exercice",
)
# In Windows-1252, without what begins a formula, breaks a line, or is an error of a spreadsheet.
_LETTERS = "abcXYZ019 éèàçÉŒ€’.,;|\"'&/()"
_words = st.text(_LETTERS, min_size=1, max_size=30).map(str.strip).filter(bool)
_identifiers = st.from_regex(r"[A-Z0-9][A-Za-z0-9/_.-]{0,20}", fullmatch=True)
_days = st.dates(date(2000, 1, 1), date(2099, 12, 31))


@st.composite
def drafts(draw: st.DrawFn) -> InvoiceDraft:
    address = draw(st.none() | st.lists(_words, min_size=1, max_size=6).map(tuple))
    return InvoiceDraft(
        regie=draw(_identifiers),
        number=draw(_identifiers),
        issued_on=draw(_days),
        due_on=draw(_days),
        amount_cents=draw(st.integers(1, 999_999_999)),
        currency="EUR",
        subject=draw(_words),
        route="regie",
        kind=draw(st.sampled_from(["invoice", "credit_note"])),
        payer=Payer(
            reference=draw(_identifiers),
            name=draw(_words),
            email=draw(st.none() | st.just("a.b@example.org")),
            address=address,
        ),
        pdf=draw(st.none() | st.just("f.pdf")),
        version=draw(st.integers(1, 9)),
        fiscal_year=draw(st.none() | st.integers(2000, 2030)),
    )


def written_day(day: date, dates: str) -> str:
    """Return a date as text: `iso`, `french`, or the number that a spreadsheet has for it."""
    if dates == "serial":
        return str((day - date(1899, 12, 30)) // timedelta(days=1))
    return day.isoformat() if dates == "iso" else f"{day:%d/%m/%Y}"


def row_of(draft: InvoiceDraft, *, dates: str) -> list[str]:
    euros, rest = divmod(draft.amount_cents, 100)
    return [
        draft.regie,
        draft.number,
        written_day(draft.issued_on, dates),
        written_day(draft.due_on, dates),
        f"{euros},{rest:02}",
        draft.subject,
        "avoir" if draft.kind == "credit_note" else "",
        draft.payer.reference,
        draft.payer.name,
        draft.payer.email or "",
        "\n".join(draft.payer.address or ()),
        draft.pdf or "",
        str(draft.version),
        str(draft.fiscal_year or ""),
    ]
