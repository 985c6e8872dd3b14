"""What PES and ROLMRE readers are given in tests, and how their entries are looked at."""

import hashlib
from collections.abc import Mapping
from datetime import date
from io import BytesIO

from ingestion.adapters import pes, rolmre
from ingestion.domain import InvoiceDraft, Regie, Rejection, Route, validate
from ingestion.ports import Entry

TODAY = date(2026, 3, 10)


class Context:
    """Keeps documents in memory; see `ports.ReadingContext`."""

    def __init__(self, regie: str | None = "CANTINE", route: Route = "treasury") -> None:
        self.regie = regie
        self.mapping: Mapping[str, str] = {}
        self.kept: dict[str, bytes] = {}
        self._route: Route = route

    def route(self, regie: str) -> Route:
        return self._route

    def keep_document(self, content: bytes) -> str | Rejection:
        if not content.startswith(b"%PDF-"):
            return Rejection(code="not_a_pdf", pointer="/pdf", message="Pas un PDF.")
        sha256 = hashlib.sha256(content).hexdigest()
        self.kept[sha256] = content
        return sha256

    def remember_mapping(self, mapping: Mapping[str, str]) -> None:
        self.mapping = mapping


def read_pes(content: bytes, context: Context | None = None) -> list[Entry]:
    return list(pes.read_file(BytesIO(content), context or Context()))


def read_rolmre(content: bytes, context: Context | None = None) -> list[Entry]:
    return list(rolmre.read_file(BytesIO(content), context or Context()))


def draft_of(entry: Entry) -> InvoiceDraft:
    assert isinstance(entry.found, InvoiceDraft), entry.found
    return entry.found


def rejection_of(entry: Entry) -> tuple[str, str]:
    """Return code and pointer of the rejection that an entry is."""
    assert isinstance(entry.found, Rejection), entry.found
    return entry.found.code, entry.found.pointer


def problems_of(draft: InvoiceDraft) -> list[tuple[str, str]]:
    """Return what the rules of entry say of a draft."""
    regies = {draft.regie: Regie(code=draft.regie, route=draft.route)}
    found = validate(draft, authority_regies=regies, today=TODAY)
    return [(problem.code, problem.pointer) for problem in found]
