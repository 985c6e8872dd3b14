"""Somebody wants to see a document: its pages as pictures, kept beside it and gone with it."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Protocol
from uuid import UUID

import msgspec

from publication.domain import WIDTHS, Pages, index_key, picture_key
from publication.ports import PageMaker, PressAwayError, Reading, UndrawableError
from shared.events.invoice_generated import StoredFile
from shared.storage import MissingObjectError

WAITING_AT_ONCE = 32
"""More than that wait for the press: who comes then is told to come again."""
TRIES = 3
"""What could not be drawn this often is not tried again: it would only cost processes."""
FAILURES_REMEMBERED = 1000

_pages_decoder = msgspec.json.Decoder(Pages)


class PictureShelf(Protocol):
    """The object store, as far as pictures need it."""

    async def get(self, key: str) -> bytes:
        """Return the content of `key`, or raise MissingObjectError."""
        ...

    async def put(self, key: str, content: bytes) -> StoredFile:
        """Store a file."""
        ...

    async def delete(self, key: str) -> None:
        """Remove `key`."""
        ...


class PageShower:
    """Shows the pages of published documents; each is drawn once, whoever asks and how often."""

    def __init__(self, maker: PageMaker, shelf: PictureShelf, reading: Reading) -> None:
        """Draw with `maker`, keep on `shelf`; `reading` tells whether a document still stands."""
        self._maker = maker
        self._shelf = shelf
        self._reading = reading
        self._underway: dict[str, asyncio.Task[bytes]] = {}
        self._failures: Counter[str] = Counter()

    async def pages(self, invoice_id: UUID, document_key: str) -> Pages:
        """Return the pages of an invoice's document.

        Raises:
            MissingObjectError: it was replaced or purged meanwhile.
            UndrawableError: it cannot be shown.
            PressAwayError: not now.
        """

        async def look() -> bytes:
            content = await self._shelf.get(document_key)
            return msgspec.json.encode(await self._maker.look(content, max(WIDTHS)))

        return _pages_decoder.decode(
            await self._kept(invoice_id, document_key, index_key(document_key), look)
        )

    async def picture(self, invoice_id: UUID, document_key: str, number: int, width: int) -> bytes:
        """Return the picture of a page, as WebP.

        Raises:
            MissingObjectError: there is no such page, or its document is gone.
            UndrawableError: it cannot be shown.
            PressAwayError: not now.
        """

        async def draw() -> bytes:
            # A page that is not there costs no process.
            if number > len((await self.pages(invoice_id, document_key)).pages):
                raise MissingObjectError(document_key)
            content = await self._shelf.get(document_key)
            return await self._maker.draw(content, number, width)

        key = picture_key(document_key, number, width)
        return await self._kept(invoice_id, document_key, key, draw)

    async def _kept(
        self, invoice_id: UUID, document_key: str, key: str, make: Callable[[], Awaitable[bytes]]
    ) -> bytes:
        """Return what is kept under `key`; what is not there is made, once for all who wait."""
        try:
            return await self._shelf.get(key)
        except MissingObjectError:
            # The first who looks: made below.
            pass
        if self._failures[key] >= TRIES:
            code = "resource_limit"
            raise UndrawableError(code)
        task = self._underway.get(key)
        if task is None:
            if len(self._underway) >= WAITING_AT_ONCE:
                raise PressAwayError(key)
            task = asyncio.create_task(self._made(invoice_id, document_key, key, make))
            self._underway[key] = task
            task.add_done_callback(lambda _done: self._underway.pop(key, None))
        # Whoever leaves takes the picture from nobody else.
        return await asyncio.shield(task)

    async def _made(
        self, invoice_id: UUID, document_key: str, key: str, make: Callable[[], Awaitable[bytes]]
    ) -> bytes:
        try:
            content = await make()
        except UndrawableError:
            self._note_failure(key)
            raise
        await self._shelf.put(key, content)
        async with self._reading() as folders:
            folder = await folders.find(invoice_id)
        if folder is None or folder.document_key != document_key:
            # Its document went while it was drawn, perhaps after the purge had looked for pictures.
            await self._shelf.delete(key)
            raise MissingObjectError(document_key)
        return content

    def _note_failure(self, key: str) -> None:
        if len(self._failures) >= FAILURES_REMEMBERED:
            self._failures.clear()
        self._failures[key] += 1
