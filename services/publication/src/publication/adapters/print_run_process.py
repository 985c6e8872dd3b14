"""`python -m publication.adapters.print_run_process`: binds one print run and ends.

Takes messages on its standard input and answers each batch on its standard output.
"""

import os
import signal
import sys
from typing import BinaryIO

from publication.adapters import paper
from publication.adapters.errors import UnsafePdfError
from publication.adapters.print_run_jobs import (
    LENGTH_BYTES,
    Batch,
    Piece,
    batch_decoder,
    framed,
    opening_decoder,
)
from publication.adapters.print_run_pdf import Book


def work(source: BinaryIO, target: BinaryIO) -> None:
    """Bind what comes from `source` until the last batch, or until nobody sends any more."""
    opening = opening_decoder.decode(_received(source))
    book = Book(opening.identity, is_duplex=opening.is_duplex)
    is_over = False
    while not is_over:
        message = _received(source)
        if not message:
            return
        batch = batch_decoder.decode(message)
        piece = _append(book, batch, opening.seconds)
        target.write(framed(piece))
        target.flush()
        is_over = batch.is_last or bool(piece.refusal_code)


def _append(book: Book, batch: Batch, seconds: int) -> Piece:
    signal.setitimer(signal.ITIMER_PROF, seconds * max(1, len(batch.letters)))
    try:
        for letter in batch.letters:
            book.add(letter.pdf, letter.pages)
        if batch.is_last:
            book.finish()
    except UnsafePdfError as error:
        return Piece(refusal_code=error.code)
    except MemoryError:
        return Piece(refusal_code="resource_limit")
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return Piece(content=book.take())


def _received(source: BinaryIO) -> bytes:
    return source.read(int.from_bytes(source.read(LENGTH_BYTES)))


def main() -> None:
    """Bind one run within the limits that the command line names."""
    paper.limit_process(int(sys.argv[1]))
    try:
        work(sys.stdin.buffer, sys.stdout.buffer)
    except BrokenPipeError:
        # The parent broke off: nobody waits for this run.
        return


if __name__ == "__main__":
    main()
    # Straight out: libraries that are unloaded complain about one another.
    os._exit(0)
