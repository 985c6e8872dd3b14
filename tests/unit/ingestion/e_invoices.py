"""What the tests of the e-invoice readers share: invoices to change, and a context to read in."""

import hashlib
from io import BytesIO
from pathlib import Path

from ingestion.adapters import cii
from ingestion.domain import InvoiceDraft, Rejection, Route, UnreadableDepositError
from ingestion.ports import Entry, FormatReader

SAMPLES = Path(__file__).parents[2] / "samples"


class Template:
    """An invoice whose parts stand between two comments of the same name."""

    def __init__(self, path: str) -> None:
        """Read the file at `path`, from the folder of samples."""
        self.text = (SAMPLES / path).read_text()

    def part(self, name: str) -> str:
        """Return a part as it stands."""
        _, found, rest = self.text.partition(f"<!-- {name} -->")
        assert found, name
        return rest.partition(f"<!-- /{name} -->")[0]

    def with_parts(self, **parts: str) -> bytes:
        """Return the invoice with some of its parts replaced."""
        text = self.text
        for name, replacement in parts.items():
            assert f"<!-- {name} -->" in text, name
            before, _, rest = text.partition(f"<!-- {name} -->")
            text = before + replacement + rest.partition(f"<!-- /{name} -->")[2]
        return text.encode()


UBL = Template("ubl/room_hire.ubl.xml")
UBL_CREDIT_NOTE = Template("ubl/room_hire.credit.xml")
CII = Template("cii/room_hire.cii.xml")
ZUGFERD_1 = Template("cii/room_hire.zugferd1.xml")


class Context:
    """A `ReadingContext` that keeps documents in memory and refuses what is no PDF."""

    def __init__(self, regie: str | None = "SALLES", route: Route = "regie") -> None:
        """Know one régie and how it is paid."""
        self.regie = regie
        self.mapping: dict[str, str] = {}
        self.documents: list[bytes] = []
        self._route: Route = route

    def route(self, regie: str) -> Route:
        return self._route

    def keep_document(self, content: bytes) -> str | Rejection:
        if not content.startswith(b"%PDF-"):
            return Rejection(code="not_a_pdf", pointer="/pdf", message="Ce n’est pas un PDF.")
        self.documents.append(content)
        return hashlib.sha256(content).hexdigest()

    def remember_mapping(self, mapping: object) -> None:
        message = "an e-invoice has no columns"
        raise AssertionError(message)


def entry_of(reader: FormatReader, content: bytes, context: Context | None = None) -> Entry:
    """Return the one entry that a file holds."""
    (entry,) = reader(BytesIO(content), context or Context())
    return entry


def draft_of(reader: FormatReader, content: bytes, context: Context | None = None) -> InvoiceDraft:
    """Return the draft of a file that is read."""
    found = entry_of(reader, content, context).found
    assert isinstance(found, InvoiceDraft), found
    return found


def refusal_of(reader: FormatReader, content: bytes) -> tuple[str, str]:
    """Return code and pointer of a refusal, of the line or of the file."""
    try:
        entry = entry_of(reader, content)
    except UnreadableDepositError as error:
        return error.code, error.pointer
    assert isinstance(entry.found, Rejection), entry.found
    return entry.found.code, entry.place + entry.found.pointer


def read_cii(xml: bytes, regie: str | None, *, route: Route = "regie") -> InvoiceDraft:
    """Return the draft of a CII, or raise its refusal with the whole path of the fault."""
    entry = entry_of(cii.read_file, xml, Context(regie, route))
    if isinstance(entry.found, Rejection):
        refused = entry.found.under(entry.place)
        raise UnreadableDepositError(refused.code, refused.pointer, refused.message)
    return entry.found
