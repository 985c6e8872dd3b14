"""All documents in one file: what is in it, what is not and why, and whoever asks for it."""

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, timedelta
from uuid import UUID

import msgspec
import pytest

from gateway.api import archive
from gateway.ports import RefusedError, ServiceUnavailableError
from shared.events import InvoicePublished
from tests.unit.gateway.door import EMAIL, TODAY, Door, Page, a_withdrawal, an_invoice
from tests.unit.gateway.fakes import FakeServices

pytestmark = pytest.mark.enable_socket

PATH = "/factures/documents.zip"


class Shelf:
    """Gives each document its own bytes, or fails for some of them as told."""

    def __init__(self, services: FakeServices) -> None:
        self.failures: dict[UUID, list[Exception]] = {}
        self.broken: set[UUID] = set()
        self.asked: list[UUID] = []
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()
        self.started = asyncio.Event()
        services.document = self.document  # type: ignore[method-assign]

    @asynccontextmanager
    async def document(self, invoice_id: UUID) -> AsyncIterator[AsyncIterator[bytes]]:
        self.asked.append(invoice_id)
        self.started.set()
        await self.may_go_on.wait()
        if self.failures.get(invoice_id):
            raise self.failures[invoice_id].pop(0)

        async def pieces() -> AsyncIterator[bytes]:
            yield b"%PDF-1.7 "
            if invoice_id in self.broken:
                raise ServiceUnavailableError
            yield str(invoice_id).encode() * 3000

        yield pieces()


@pytest.fixture
def shelf(services: FakeServices) -> Shelf:
    return Shelf(services)


def invoices(count: int, **changes: object) -> list[InvoicePublished]:
    return [
        msgspec.structs.replace(
            an_invoice(
                invoice_id=UUID(int=number), token=f"{number:022d}", number=f"2026-{number:04d}"
            ),
            **changes,
        )
        for number in range(1, count + 1)
    ]


def opened(page: Page) -> zipfile.ZipFile:
    assert page.status == 200, page.text
    found = zipfile.ZipFile(io.BytesIO(page.content))
    assert found.testzip() is None
    return found


def told(found: zipfile.ZipFile) -> list[str]:
    text = found.read("LISEZMOI.txt").decode("utf-8-sig")
    return text.replace("\u00a0", " ").splitlines()


async def test_all_readable_documents_come_in_one_file(door: Door, shelf: Shelf) -> None:
    """C1: by authority and number, whole, and what is in it is said."""
    await door.publish(*invoices(3))
    await door.log_in()

    page = await door.get(PATH)

    found = opened(page)
    assert sorted(found.namelist()) == [
        "LISEZMOI.txt",
        "saint-aubin/2026-0001.pdf",
        "saint-aubin/2026-0002.pdf",
        "saint-aubin/2026-0003.pdf",
    ]
    assert (
        found.read("saint-aubin/2026-0002.pdf") == b"%PDF-1.7 " + str(UUID(int=2)).encode() * 3000
    )
    assert told(found) == [
        "Vos factures, telles que les collectivités les ont publiées.",
        "",
        "Documents dans ce fichier : 3.",
    ]
    assert page.headers["Content-Type"] == "application/zip"
    assert page.headers["Cache-Control"] == "private, no-store"
    assert page.headers["Content-Disposition"].startswith('attachment; filename="documents.zip"')


async def test_what_cannot_be_read_any_more_is_told(door: Door, shelf: Shelf) -> None:
    """Past its 90 days, or withdrawn: by name, with why, and never silently left out."""
    await door.publish(
        an_invoice(invoice_id=UUID(int=1), token="1" * 22, number="A"),
        msgspec.structs.replace(
            an_invoice(invoice_id=UUID(int=2), token="2" * 22, number="B"),
            readable_until=TODAY - timedelta(days=1),
        ),
        an_invoice(token="3" * 22, number="C"),
    )
    async with door.portal() as portal:
        await portal.withdraw([a_withdrawal()])
    await door.log_in()

    found = opened(await door.get(PATH))

    assert found.namelist() == ["saint-aubin/A.pdf", "LISEZMOI.txt"]
    subject = "Restauration scolaire, octobre"
    assert set(told(found)[4:]) == {
        "Ce qui n’y est pas :",
        (
            f"- Ville de Saint-Aubin, B, {subject} : plus consultable depuis le 23 novembre"
            " 2026 : les 90 jours sont passés. La collectivité peut vous la donner."
        ),
        f"- Ville de Saint-Aubin, C, {subject} : retirée par la collectivité.",
    }
    assert UUID(int=2) not in shelf.asked


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (RefusedError(410, {"code": "document-expired"}), "les 90 jours sont passés"),
        (RefusedError(404, {"code": "not-published"}), "pas encore disponible"),
        (ServiceUnavailableError(), "n’a pas pu être lu"),
    ],
)
async def test_a_document_that_fails_is_told_and_the_others_come(
    door: Door, shelf: Shelf, failure: Exception, reason: str
) -> None:
    """In the middle of a download there is no other place to say it."""
    await door.publish(*invoices(3))
    await door.log_in()
    shelf.failures[UUID(int=2)] = [failure] * 2

    found = opened(await door.get(PATH))

    assert "saint-aubin/2026-0002.pdf" not in found.namelist()
    assert len(found.namelist()) == 3
    assert "Documents dans ce fichier : 2." in told(found)
    [line] = [line for line in told(found) if "2026-0002" in line]
    assert reason in line


async def test_no_half_of_a_document_is_handed_over(door: Door, shelf: Shelf) -> None:
    """It breaks off after its first bytes, twice."""
    await door.publish(*invoices(3))
    await door.log_in()
    shelf.broken = {UUID(int=2)}

    found = opened(await door.get(PATH))

    assert "saint-aubin/2026-0002.pdf" not in found.namelist()
    assert any("2026-0002" in line for line in told(found))
    assert shelf.asked.count(UUID(int=2)) == 2


async def test_a_silence_is_asked_once_more(door: Door, shelf: Shelf) -> None:
    """A replica that restarts costs nobody a document."""
    await door.publish(*invoices(2))
    await door.log_in()
    shelf.failures[UUID(int=1)] = [ServiceUnavailableError()]

    assert len(opened(await door.get(PATH)).namelist()) == 3


async def test_when_nobody_answers_a_page_says_so(door: Door, services: FakeServices) -> None:
    """Rather than a file with nothing in it."""
    await door.publish(*invoices(2))
    await door.log_in()
    services.is_down = True

    page = await door.get(PATH)

    assert page.status == 503
    assert page.headers["Content-Type"].startswith("text/html")


async def test_publication_that_stops_in_the_middle_is_not_asked_for_ever(
    door: Door, shelf: Shelf
) -> None:
    """After three silences in a row the rest is told as unread: the download ends."""
    await door.publish(*invoices(9))
    await door.log_in()
    first = UUID(int=9)
    shelf.failures = {UUID(int=number): [ServiceUnavailableError()] * 2 for number in range(1, 9)}

    found = opened(await door.get(PATH))

    assert found.namelist() == ["saint-aubin/2026-0009.pdf", "LISEZMOI.txt"]
    assert len([line for line in told(found) if "n’a pas pu être lu" in line]) == 8
    assert len(set(shelf.asked) - {first}) == archive.SILENCES


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("?annee=2026", {"2026-0001"}),
        ("?annee=2025", {"2026-0002"}),
        ("?autorite=saint-aubin", {"2026-0001", "2026-0002"}),
        ("?etat=a-payer", {"2026-0001", "2026-0002"}),
        ("?annee=2025&autorite=saint-aubin&etat=a-payer", {"2026-0002"}),
        ("?etat=inconnu", {"2026-0001", "2026-0002"}),
    ],
)
async def test_a_year_an_authority_or_a_state_is_chosen(
    door: Door, shelf: Shelf, query: str, numbers: set[str]
) -> None:
    """As on the list."""
    one, other = invoices(2)
    await door.publish(one, msgspec.structs.replace(other, issued_on=date(2025, 12, 31)))
    await door.log_in()

    names = opened(await door.get(PATH + query)).namelist()

    assert set(names) == {f"saint-aubin/{number}.pdf" for number in numbers} | {"LISEZMOI.txt"}


@pytest.mark.parametrize("query", ["?annee=1999", "?autorite=ailleurs", "?etat=payees"])
async def test_a_choice_without_documents_is_told_in_a_page(
    door: Door, shelf: Shelf, query: str
) -> None:
    """No file with nothing in it."""
    await door.publish(*invoices(1))
    await door.log_in()

    page = await door.get(PATH + query)

    assert page.status == 404
    assert "90 jours" in page.text
    assert shelf.asked == []


async def test_names_are_safe_and_no_two_are_alike(door: Door, shelf: Shelf) -> None:
    """A number is a stranger's text: no path leads out of the folder in which it is unpacked."""
    numbers = ["../../x", "..\\..\\x", "A/1", "a-1", "A-1", "CON\x00"[:3]]
    await door.publish(
        *(
            an_invoice(
                invoice_id=UUID(int=position),
                token=f"{position:022d}",
                number=number,
                regie=f"R{position}",
            )
            for position, number in enumerate(numbers, start=1)
        )
    )
    await door.log_in()

    names = [name for name in opened(await door.get(PATH)).namelist() if name != "LISEZMOI.txt"]

    assert len({name.lower() for name in names}) == len(numbers)
    assert all(name.startswith("saint-aubin/") and name.count("/") == 1 for name in names)
    assert all(".." not in name and "\\" not in name for name in names)


async def test_only_ones_own_documents_are_in_it(door: Door, shelf: Shelf) -> None:
    """IDOR: another account's invoice is neither in it nor named in it."""
    mine, theirs = invoices(2)
    payer = msgspec.structs.replace(theirs.payer, email="quelquun@exemple.test")
    await door.publish(mine, msgspec.structs.replace(theirs, payer=payer))
    await door.log_in()

    found = opened(await door.get(f"{PATH}?compte={theirs.invoice_id}"))

    assert found.namelist() == ["saint-aubin/2026-0001.pdf", "LISEZMOI.txt"]
    assert "2026-0002" not in found.read("LISEZMOI.txt").decode()


async def test_who_is_not_logged_in_gets_nothing(door: Door, shelf: Shelf) -> None:
    """To the login, and back."""
    await door.publish(*invoices(1))

    page = await door.get(PATH)

    assert page.status == 303
    assert shelf.asked == []


async def test_one_at_a_time_for_an_account(door: Door, shelf: Shelf) -> None:
    """A second one waits for the end of the first; then it comes."""
    await door.publish(*invoices(1))
    await door.log_in()
    shelf.may_go_on.clear()
    first = asyncio.create_task(door.get(PATH))
    await shelf.started.wait()

    second = await door.get(PATH)
    shelf.may_go_on.set()
    done = await first
    third = await door.get(PATH)

    assert second.status == 429
    assert "déjà en cours" in second.text
    assert (done.status, third.status) == (200, 200)


async def test_few_at_once_and_not_all_day_long(
    door: Door, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others' downloads may take the places; and one account has five in a quarter of an hour."""
    await door.publish(*invoices(1))
    await door.log_in()
    monkeypatch.setattr(archive, "AT_ONCE", 0)
    busy = await door.get(PATH)
    monkeypatch.undo()
    answers = [(await door.get(PATH)).status for _ in range(5)]

    assert (busy.status, busy.headers["Retry-After"]) == (503, "30")
    assert answers == [200, 200, 200, 200, 429]


@pytest.mark.parametrize(("name", "limit"), [("MOST_FILES", 2), ("MOST_BYTES", 150_000)])
async def test_a_file_has_an_end_and_says_so(
    door: Door, shelf: Shelf, monkeypatch: pytest.MonkeyPatch, name: str, limit: int
) -> None:
    """Beyond so many documents or bytes the rest is named, with what to do."""
    monkeypatch.setattr(archive, name, limit)
    await door.publish(*invoices(4))
    await door.log_in()

    found = opened(await door.get(PATH))

    assert len(found.namelist()) == 3
    assert len([line for line in told(found) if "laissé de côté" in line]) == 2
    assert "Choisissez une année" in " ".join(told(found))


async def test_it_is_told_in_the_readers_language(door: Door, shelf: Shelf) -> None:
    """The portal is spoken in two."""
    await door.publish(*invoices(1))
    await door.log_in()
    await door.submit("/langue", {"langue": "en", "suite": "/"})

    assert "Documents in this file: 1." in told(opened(await door.get(PATH)))


async def test_the_accounts_page_offers_what_can_be_read(door: Door) -> None:
    """How many, which years and authorities; a form that works without scripts."""
    await door.publish(*invoices(2))
    await door.log_in(email=EMAIL)

    page = await door.get("/compte/documents")

    assert "2 documents sont consultables aujourd’hui" in page.text
    form = page.element(f"//form[@action='{PATH}']")
    assert form.get("method") == "get"
    assert [option.get("value") for option in form.xpath(".//select[@name='autorite']/option")] == [
        "",
        "saint-aubin",
    ]


async def test_a_page_without_documents_says_why(door: Door) -> None:
    """Nothing to download: the 90 days."""
    await door.log_in()

    page = await door.get("/compte/documents")

    assert "chacun l’est pendant 90 jours" in page.text
    assert PATH not in page.actions()
