"""What goes to the process that binds a print run, and what comes back.

This side of the hand-over loads none of the PDF libraries. The book stays in the process: what is
handed over are letters, and the bytes that each batch of them adds.
"""

import msgspec

LENGTH_BYTES = 8
"""Before each message stands its length."""


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """The first message: which run, and what processor time a letter may take."""

    identity: str
    is_duplex: bool
    seconds: int


class BoundLetter(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A letter to append, and how many pages it must have."""

    pdf: bytes
    pages: int


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Letters to append; the last batch ends the book."""

    letters: list[BoundLetter]
    is_last: bool


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch adds to the book, or why one of its letters cannot be bound."""

    content: bytes = b""
    refusal_code: str = ""


encoder = msgspec.msgpack.Encoder()
opening_decoder = msgspec.msgpack.Decoder(Opening)
batch_decoder = msgspec.msgpack.Decoder(Batch)
# Not pickle: what a hostile file made of its process may lie to us, but never run here.
piece_decoder = msgspec.msgpack.Decoder(Piece)


def framed(message: msgspec.Struct) -> bytes:
    """Return a message as it is sent, with its length before it."""
    content = encoder.encode(message)
    return len(content).to_bytes(LENGTH_BYTES) + content
