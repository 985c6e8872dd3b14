"""What reading a PES piece shares: tidy text, and the refusal of a piece."""

from ingestion.domain import Rejection


class RefusedPieceError(Exception):
    """A piece that is no invoice; `rejection` says why, its pointer being that from the piece."""

    def __init__(self, code: str, pointer: str, message: str) -> None:
        """Make the rejection."""
        super().__init__(code)
        self.rejection = Rejection(code=code, pointer=pointer, message=message)


def words(text: str) -> str:
    """Return the words of a text on one line: files are made of fixed fields, filled up."""
    return " ".join(text.split())
