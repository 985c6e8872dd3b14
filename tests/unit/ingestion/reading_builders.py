"""What format readers are given in tests."""

import hashlib
from collections.abc import Mapping

from ingestion.domain import Rejection, Route


class FakeContext:
    """What a reader knows; see `ports.ReadingContext`."""

    def __init__(self, regie: str | None, mapping: Mapping[str, str], treasury: str) -> None:
        self.regie = regie
        self.mapping = mapping
        self.used_mapping: Mapping[str, str] = {}
        self.documents: dict[str, bytes] = {}
        self._treasury = treasury

    def route(self, regie: str) -> Route:
        return "treasury" if regie == self._treasury else "regie"

    def keep_document(self, content: bytes) -> str | Rejection:
        if not content.startswith(b"%PDF-"):
            return Rejection(code="not_a_pdf", pointer="/pdf", message="")
        sha256 = hashlib.sha256(content).hexdigest()
        self.documents[sha256] = content
        return sha256

    def remember_mapping(self, mapping: Mapping[str, str]) -> None:
        self.used_mapping = mapping


def a_context(
    regie: str | None = "CANTINE",
    *,
    mapping: Mapping[str, str] | None = None,
    treasury: str = "EAU",
) -> FakeContext:
    """Return a context for one régie."""
    return FakeContext(regie, mapping or {}, treasury)
