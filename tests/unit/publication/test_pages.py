"""A published document is shown as pictures: drawn once, in bounds, and gone with the document."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias
from uuid import UUID

import msgspec
import pikepdf
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from PIL import Image

from publication.adapters import page_pictures
from publication.adapters.jobs import Limits
from publication.adapters.press import Press, PressSettings
from publication.api.pages import PageDoors
from publication.domain import FolderState, Pages, PageSize, drawn_size, pages_folder
from publication.domain.pages import MOST_PIXELS
from publication.handlers.show_pages import TRIES, WAITING_AT_ONCE, PageShower
from publication.ports import Folder, PressAwayError, UndrawableError
from shared.auth import InvalidTokenError, Principal
from shared.events.authority_configured import StampPlace
from shared.http import create_application
from shared.storage import MissingObjectError, Storage
from tests.unit.publication.publication_builders import FakeStorage, a_pdf, saved

Client: TypeAlias = TestClient[web.Request, web.Application]
INVOICE_ID = UUID(int=1)
KEY = f"published/{INVOICE_ID}/v1/facture.pdf"
PAGES = f"/v1/invoices/{INVOICE_ID}/pages"
PDF = a_pdf("the first page", "the second page")


def a_folder(**changes: Any) -> Folder:
    content: dict[str, Any] = {
        "invoice_id": INVOICE_ID,
        "authority": "saint-aubin",
        "regie": "CANTINE",
        "version": 1,
        "state": FolderState.PUBLISHED,
        "token": "a" * 22,
        "refusal_code": None,
        "refusal_detail": None,
        "published_version": 1,
        "published_at": None,
        "readable_until": date(2027, 2, 22),
        "document_key": KEY,
        "document_size_bytes": len(PDF),
        "document_sha256": "0123456789abcdef" * 4,
        "print_key": KEY,
    }
    return Folder(**(content | changes))


class OneFolder:
    """A database with one folder, which a test may change under the reader's feet."""

    def __init__(self, folder: Folder | None) -> None:
        self.folder = folder

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Any]:
        yield self

    async def find(self, invoice_id: UUID) -> Folder | None:
        return self.folder if invoice_id == INVOICE_ID else None


class Draughtsman:
    """Draws in this process, counts what it is asked, and fails or waits when told to."""

    def __init__(self) -> None:
        self.looked = 0
        self.drawn: list[tuple[int, int]] = []
        self.failure: Exception | None = None
        self.started = asyncio.Event()
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    async def look(self, pdf: bytes, widest: int) -> Pages:
        self.looked += 1
        await self._pause()
        return page_pictures.look(pdf, widest)

    async def draw(self, pdf: bytes, number: int, width: int) -> bytes:
        self.drawn.append((number, width))
        await self._pause()
        return page_pictures.draw(pdf, number, width)

    async def _pause(self) -> None:
        self.started.set()
        await self.may_go_on.wait()
        if self.failure is not None:
            raise self.failure


class Tokens:
    async def authenticate(self, token: str) -> Principal:
        known = {
            "portal": Principal(
                subject="gateway",
                authority="",
                regies=(),
                scopes=frozenset({"documents:read"}),
            ),
            "biller": Principal(
                subject="biller",
                authority="saint-aubin",
                regies=("CANTINE",),
                scopes=frozenset({"deposits:read"}),
            ),
            "elsewhere": Principal(
                subject="other",
                authority="another-town",
                regies=("CANTINE",),
                scopes=frozenset({"documents:read"}),
            ),
        }
        if token not in known:
            raise InvalidTokenError
        return known[token]


class Office:
    """The doors of pages over one folder."""

    def __init__(self) -> None:
        self.storage = FakeStorage(**{KEY: PDF})
        self.database = OneFolder(a_folder())
        self.draughtsman = Draughtsman()
        self.shower = PageShower(self.draughtsman, self.storage, self.database.reading)
        doors = PageDoors(
            self.database.reading, pages=self.shower.pages, picture=self.shower.picture
        )
        self.application = create_application(
            "publication", doors.operations(), authenticator=Tokens()
        )
        self.client: Client

    async def get(
        self, path: str, token: str = "portal", **headers: str
    ) -> tuple[int, bytes, Mapping[str, str]]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await self.client.get(path, headers={"Authorization": f"Bearer {token}"} | named)
        return answer.status, await answer.read(), answer.headers


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    office = Office()
    async with TestClient(TestServer(office.application)) as client:
        office.client = client
        yield office


@pytest.fixture
async def press() -> AsyncIterator[Press]:
    async def no_places() -> dict[tuple[str, str], StampPlace]:
        return {}

    press = Press(
        PressSettings(
            processes=1,
            memory_bytes=1 << 30,
            seconds=20,
            sample=0.0,
            limits=Limits(),
            public_url="https://factures.example.fr",
        ),
        no_places,
    )
    yield press
    press.close()


def a_page_of(width: float, height: float) -> bytes:
    document = pikepdf.new()
    document.add_blank_page(page_size=(100, 100)).obj.MediaBox = pikepdf.Array(
        [0, 0, width, height]
    )
    return saved(document)


def encrypted() -> bytes:
    output = BytesIO()
    with pikepdf.open(BytesIO(PDF)) as document:
        document.save(output, encryption=pikepdf.Encryption(owner="o", user="u"))
    return output.getvalue()


def size_of(picture: bytes) -> tuple[int, int]:
    with Image.open(BytesIO(picture)) as image:
        assert image.format == "WEBP"
        return image.size


def children_of(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize(
    ("points", "width", "drawn"),
    [
        ((595.28, 841.89), 800, (800, 1131)),
        ((595.28, 841.89), 1200, (1200, 1697)),
        ((841.89, 595.28), 1200, (1200, 848)),
        ((10, 14400), 1200, (5, 8000)),
        ((14400, 1), 1200, (1200, 1)),
    ],
)
def test_a_page_keeps_its_shape_and_never_has_too_many_pixels(
    points: tuple[float, float], width: int, drawn: tuple[int, int]
) -> None:
    """A ribbon of a page would fill the memory: it is drawn narrower instead."""
    found = drawn_size(*points, width)

    assert found == drawn
    assert found[0] * found[1] <= MOST_PIXELS


@pytest.mark.enable_socket
async def test_a_document_is_told_page_by_page_with_its_text(office: Office) -> None:
    """RGAA 1.6: what the pictures show can be read by whoever cannot see them."""
    status, body, headers = await office.get(PAGES)

    assert status == 200
    assert msgspec.json.decode(body, type=Pages) == Pages(
        pages=(
            PageSize(number=1, width=1200, height=1698),
            PageSize(number=2, width=1200, height=1698),
        ),
        text=("the first page", "the second page"),
    )
    assert headers["Cache-Control"] == "private, no-store"


@pytest.mark.enable_socket
async def test_a_page_is_drawn_once_and_kept_beside_its_document(office: Office) -> None:
    """The next who looks gets it from the store."""
    first = await office.get(f"{PAGES}/2.webp?width=800")
    again = await office.get(f"{PAGES}/2.webp?width=800")
    wide = await office.get(f"{PAGES}/2.webp?width=1200")

    assert size_of(first[1]) == (800, 1132)
    assert size_of(wide[1]) == (1200, 1698)
    assert again[:2] == first[:2] == (200, first[1])
    assert first[2]["Content-Type"] == "image/webp"
    assert first[2]["Cache-Control"] == "private, no-store"
    assert office.draughtsman.drawn == [(2, 800), (2, 1200)]
    assert office.draughtsman.looked == 1
    assert set(office.storage.files) - {KEY} == {
        f"{pages_folder(KEY)}{name}" for name in ("pages.json", "2-800.webp", "2-1200.webp")
    }


@pytest.mark.enable_socket
async def test_a_browser_that_has_the_picture_is_told_so(office: Office) -> None:
    """RFC 9110, 13.1.2: the name says document, page and width; no process is asked."""
    named = (await office.get(f"{PAGES}/1.webp?width=800"))[2]["ETag"]
    office.storage.files.clear()

    again = await office.get(f"{PAGES}/1.webp?width=800", If_None_Match=named)

    assert named == '"0123456789abcdef0123456789abcdef-1-800"'
    assert (again[0], again[1], again[2]["ETag"]) == (304, b"", named)


@pytest.mark.enable_socket
@pytest.mark.parametrize(
    "path",
    ["3.webp", "0.webp", "01.webp", "-1.webp", "x.webp", "99999.webp", "1.webp?width=799"],
)
async def test_there_are_no_other_pages_and_no_other_widths(office: Office, path: str) -> None:
    """Nobody fills the store with sizes, and a page that is not there costs no process."""
    status, body, _ = await office.get(f"{PAGES}/{path}")

    assert status == 404
    assert b"unknown-page" in body
    assert office.draughtsman.drawn == []


@pytest.mark.enable_socket
@pytest.mark.parametrize("suffix", ["", "/1.webp?width=800"])
@pytest.mark.parametrize(
    ("folder", "status", "code"),
    [
        (None, 404, b"unknown-invoice"),
        (a_folder(state=FolderState.WITHDRAWN, document_key=None), 410, b"invoice-withdrawn"),
        (a_folder(state=FolderState.PURGED, document_key=None), 410, b"document-expired"),
        (a_folder(state=FolderState.WAITING, document_key=None), 404, b"not-published"),
    ],
)
async def test_what_may_not_be_read_is_not_shown(
    office: Office, suffix: str, folder: Folder | None, status: int, code: bytes
) -> None:
    """Pages end with the document: unknown, withdrawn, past the 90 days."""
    await office.get(f"{PAGES}{suffix}")
    office.database.folder = folder

    answer = await office.get(f"{PAGES}{suffix}")

    assert answer[0] == status
    assert code in answer[1]


@pytest.mark.enable_socket
@pytest.mark.parametrize(
    ("token", "status"), [("biller", 403), ("elsewhere", 404), ("nobody", 401)]
)
async def test_pages_are_for_the_portal_alone(office: Office, token: str, status: int) -> None:
    """A biller sees its own PDF elsewhere; another town's token learns nothing."""
    assert (await office.get(PAGES, token))[0] == status
    assert (await office.get(f"{PAGES}/1.webp", token))[0] == status
    assert office.draughtsman.looked == 0


@pytest.mark.enable_socket
async def test_a_document_that_cannot_be_drawn_is_not_tried_for_ever(office: Office) -> None:
    """After some failures nobody's process is spent on it any more; the PDF stays downloadable."""
    office.draughtsman.failure = UndrawableError("resource_limit")

    answers = [await office.get(PAGES) for _ in range(TRIES + 2)]

    assert {answer[0] for answer in answers} == {422}
    assert all(b"undrawable" in answer[1] for answer in answers)
    assert office.draughtsman.looked == TRIES
    assert set(office.storage.files) == {KEY}


@pytest.mark.enable_socket
async def test_a_press_that_is_away_is_told_and_costs_no_try(office: Office) -> None:
    """503 with Retry-After: it is nobody's document's fault."""
    office.draughtsman.failure = PressAwayError()
    for _ in range(TRIES + 1):
        status, _, headers = await office.get(PAGES)
        assert (status, headers["Retry-After"]) == (503, "5")
    office.draughtsman.failure = None

    assert (await office.get(PAGES))[0] == 200


async def test_those_who_ask_together_have_it_drawn_once() -> None:
    """Ten families before one notice: one drawing; and one who leaves takes it from nobody."""
    office = Office()
    office.draughtsman.may_go_on.clear()
    asked = [asyncio.create_task(office.shower.pages(INVOICE_ID, KEY)) for _ in range(10)]
    await office.draughtsman.started.wait()

    asked[0].cancel()
    office.draughtsman.may_go_on.set()
    found = await asyncio.gather(*asked[1:])

    assert {len(pages.pages) for pages in found} == {2}
    assert office.draughtsman.looked == 1


async def test_who_comes_when_too_many_wait_is_told_to_come_again() -> None:
    """Nothing is read for them: what waits is bounded in number, and so in memory."""
    office = Office()
    office.draughtsman.may_go_on.clear()
    keys = [f"{KEY}{number}" for number in range(WAITING_AT_ONCE)]
    office.storage.files.update(dict.fromkeys(keys, PDF))
    waiting = [asyncio.create_task(office.shower.pages(INVOICE_ID, key)) for key in keys]
    await office.draughtsman.started.wait()

    with pytest.raises(PressAwayError):
        await office.shower.pages(INVOICE_ID, KEY)
    office.draughtsman.may_go_on.set()
    await asyncio.gather(*waiting, return_exceptions=True)

    assert office.draughtsman.looked == WAITING_AT_ONCE
    assert len((await office.shower.pages(INVOICE_ID, KEY)).pages) == 2


async def test_a_picture_whose_document_goes_meanwhile_is_not_kept() -> None:
    """What is drawn while the invoice is withdrawn must not outlive it."""
    office = Office()
    office.draughtsman.may_go_on.clear()
    asked = asyncio.create_task(office.shower.pages(INVOICE_ID, KEY))
    await office.draughtsman.started.wait()

    office.database.folder = a_folder(state=FolderState.WITHDRAWN, document_key=None)
    office.draughtsman.may_go_on.set()

    with pytest.raises(MissingObjectError):
        await asked
    assert set(office.storage.files) == {KEY}


async def test_pictures_are_erased_with_their_document(tmp_path: Path) -> None:
    """And nothing beside: another version's stay until that one goes."""
    storage = Storage(f"file://{tmp_path}")
    other = KEY.replace("v1", "v12")
    for key in (KEY, other):
        await storage.put(f"{pages_folder(key)}1-800.webp", b"x")
        await storage.put(f"{pages_folder(key)}pages.json", b"x")

    await storage.delete_below(pages_folder(KEY))
    await storage.delete_below(pages_folder(KEY))

    with pytest.raises(MissingObjectError):
        await storage.get(f"{pages_folder(KEY)}1-800.webp")
    with pytest.raises(MissingObjectError):
        await storage.get(f"{pages_folder(KEY)}pages.json")
    assert await storage.get(f"{pages_folder(other)}1-800.webp") == b"x"
    assert await storage.get(f"{pages_folder(other)}pages.json") == b"x"


async def test_the_press_draws_in_its_own_process(press: Press) -> None:
    """The same pool that makes paper: one process does both."""
    pages = await press.look(PDF, 1200)
    picture = await press.draw(PDF, 2, 800)

    assert [page.number for page in pages.pages] == [1, 2]
    assert size_of(picture) == (800, 1132)


@pytest.mark.parametrize(
    "pdf",
    [b"", b"no PDF", PDF[:300], encrypted()],
    ids=["empty", "other", "cut", "encrypted"],
)
async def test_what_is_no_readable_document_is_refused(press: Press, pdf: bytes) -> None:
    """The process says so and goes on."""
    with pytest.raises(UndrawableError):
        await press.look(pdf, 1200)
    with pytest.raises(UndrawableError):
        await press.draw(pdf, 1, 800)

    assert (await press.look(PDF, 1200)).text == ("the first page", "the second page")


async def test_a_page_beyond_the_last_is_refused(press: Press) -> None:
    """Also by the process itself."""
    with pytest.raises(UndrawableError, match="no_page"):
        await press.draw(PDF, 3, 800)


@pytest.mark.parametrize("size", [(14400, 14400), (3, 14400), (14400, 3)])
async def test_a_huge_page_is_drawn_within_bounds(press: Press, size: tuple[int, int]) -> None:
    """The largest page of PDF 1.7 (annex C) has no more pixels than any other."""
    pdf = a_page_of(*size)

    [page] = (await press.look(pdf, 1200)).pages
    drawn = size_of(await press.draw(pdf, 1, 1200))

    assert drawn == (page.width, page.height)
    assert drawn[0] * drawn[1] <= MOST_PIXELS


async def test_a_page_that_ends_its_process_costs_nobody_else(press: Press) -> None:
    """The reader is told that it cannot be shown, the next finds a new process."""
    await press.look(PDF, 1200)
    room = press._room._room
    assert room is not None
    [process] = children_of(room.pid)

    os.kill(process, signal.SIGKILL)
    with pytest.raises(UndrawableError, match="resource_limit"):
        await press.draw(PDF, 1, 800)

    assert len((await press.look(PDF, 1200)).pages) == 2


async def test_who_looks_at_a_page_does_not_wait_behind_a_deposit(press: Press) -> None:
    """All processes that make paper are taken: a picture has a place of its own."""
    held = press._makers.get_nowait()

    try:
        pages = await asyncio.wait_for(press.look(PDF, 1200), timeout=30)
    finally:
        press._makers.put_nowait(held)

    assert len(pages.pages) == 2
