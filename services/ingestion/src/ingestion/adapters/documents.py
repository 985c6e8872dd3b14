"""The PDFs of a deposit while it is read: beside its body, inside a ZIP, or inside its lines."""

import hashlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import pikepdf

from ingestion.adapters.archive import Archive
from ingestion.adapters.job_files import DOCUMENTS
from ingestion.domain import Rejection
from ingestion.ports import Document, Part, usable_documents

PDF_SIGNATURE = b"%PDF-"

_NOT_A_PDF = Rejection(
    code="not_a_pdf", pointer="/pdf", message="Le fichier joint n’est pas un PDF."
)
_ENCRYPTED = Rejection(
    code="encrypted", pointer="/pdf", message="Le PDF joint est chiffré ou protégé."
)
_TOO_LARGE = Rejection(
    code="document_too_large", pointer="/pdf", message="Le PDF joint dépasse la taille permise."
)
_MISSING = Rejection(
    code="missing_document", pointer="/pdf", message="Le PDF annoncé n’est pas joint au dépôt."
)


def check(content: bytes) -> Rejection | None:
    """Return why a file can be told without publishing it to be unusable, or None.

    Publication looks closer: this is what can be said at once.
    """
    if not content.startswith(PDF_SIGNATURE):
        return _NOT_A_PDF
    # The word stands in every encrypted file, but also in innocent ones: then qpdf decides.
    if b"/Encrypt" in content and _is_encrypted(content):
        return _ENCRYPTED
    return None


def _is_encrypted(content: bytes) -> bool:
    try:
        with pikepdf.open(BytesIO(content), suppress_warnings=True) as pdf:
            return bool(pdf.is_encrypted)
    except pikepdf.PasswordError:
        return True
    except pikepdf.PdfError:
        # Damaged rather than encrypted: publication says so.
        return False


class Documents:
    """Finds the file that a line names, checks it once, and keeps it in the folder of the job."""

    def __init__(
        self, folder: Path, parts: Mapping[str, Part], maximum_bytes: int, archive: Archive | None
    ) -> None:
        """Look in `parts` (files that came beside the body), then in `archive`."""
        self._folder = folder / DOCUMENTS
        self._folder.mkdir(exist_ok=True)
        self._parts = parts
        self._maximum_bytes = maximum_bytes
        self._archive = archive
        self._by_name: dict[str, Part] = {}
        self._by_sha256 = usable_documents(parts)

    def keep(self, content: bytes) -> str | Rejection:
        """Keep a PDF found inside a line; return its SHA-256, or why it is refused."""
        if len(content) > self._maximum_bytes:
            return _TOO_LARGE
        refusal = check(content)
        if refusal is not None:
            return refusal
        sha256 = hashlib.sha256(content).hexdigest()
        self._by_name[sha256] = self._by_sha256[sha256] = Document(sha256, len(content))
        path = self._folder / sha256
        if not path.exists():
            path.write_bytes(content)
        return sha256

    def resolve(self, name: str) -> Part:
        """Return the file that a line means by `name`: a name in the deposit, or a SHA-256."""
        found = self._by_name.get(name)
        if found is None:
            found = self._by_name[name] = self._find(name)
        return found

    def _find(self, name: str) -> Part:
        part = self._parts.get(name)
        if part is None and self._archive is not None:
            member = self._archive.find(name)
            if member is not None:
                return self._from_archive(self._archive, member)
        found = part if part is not None else self._by_sha256.get(name.lower(), _MISSING)
        if isinstance(found, Rejection):
            return found
        return check(self.path(found).read_bytes()) or found

    def _from_archive(self, archive: Archive, member: str) -> Part:
        content = archive.read(member, self._maximum_bytes)
        kept = content if isinstance(content, Rejection) else self.keep(content)
        return kept if isinstance(kept, Rejection) else self._by_sha256[kept]

    def path(self, document: Document) -> Path:
        """Return where a file is kept."""
        return self._folder / document.sha256
