"""A preview looks as the published invoice would, cannot be taken for it, and leaves no trace."""

from collections.abc import AsyncIterator
from datetime import timedelta
from io import BytesIO
from typing import TypeAlias

import msgspec
import pikepdf
import pypdfium2
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from pikepdf import Array, Dictionary, Name, String

from publication.adapters.errors import SENTENCES
from publication.adapters.jobs import Limits
from publication.adapters.press import Press, PressSettings
from publication.api import previews
from publication.handlers.preview_invoice import preview_invoice
from shared.auth import InvalidTokenError, Principal
from shared.clock import FixedClock
from shared.events import InvoiceGenerated
from shared.events.authority_configured import StampPlace
from shared.events.invoice_generated import Payer, StoredFile
from shared.http import create_application
from tests.unit.publication.publication_builders import (
    NOW,
    TOWN,
    FakeStorage,
    a_pdf,
    an_invoice,
    codes_on,
    saved,
    texts_of,
)

pytestmark = pytest.mark.enable_socket

Client: TypeAlias = TestClient[web.Request, web.Application]
KEY = "deposits/00000000-0000-0000-0000-0000000001f4/x.pdf"
URL = "https://factures.example.fr/q/apercu"


class Tokens:
    async def authenticate(self, token: str) -> Principal:
        scopes = {"biller": {"deposits:read"}, "writer": {"deposits:write"}}
        if token not in scopes:
            raise InvalidTokenError
        return Principal(
            subject=token, authority=TOWN, regies=("CANTINE",), scopes=frozenset(scopes[token])
        )


async def no_places() -> dict[tuple[str, str], StampPlace]:
    return {}


@pytest.fixture
def storage() -> FakeStorage:
    """Return a store with one file that was deposited."""
    return FakeStorage(**{KEY: a_pdf("the invoice", "its second page")})


@pytest.fixture
async def client(storage: FakeStorage) -> AsyncIterator[Client]:
    """Return a client of the door, with a press behind it."""
    press = Press(
        PressSettings(
            processes=1,
            memory_bytes=1 << 30,
            seconds=20,
            sample=1.0,
            limits=Limits(maximum_pages=5),
            public_url="https://factures.example.fr",
        ),
        no_places,
    )
    clock = FixedClock(NOW)

    async def preview(invoice: InvoiceGenerated) -> bytes:
        return await preview_invoice(invoice, shelf=storage, press=press, clock=clock)

    application = create_application(
        "publication", previews.operations(preview), authenticator=Tokens()
    )
    async with TestClient(TestServer(application)) as opened:
        yield opened
    press.close()


async def ask(
    client: Client, invoice: InvoiceGenerated, token: str = "biller"
) -> tuple[int, bytes]:
    answer = await client.post(
        "/v1/preview",
        data=msgspec.json.encode(invoice),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    return answer.status, await answer.read()


def with_document(key: str = KEY) -> InvoiceGenerated:
    return an_invoice(document=StoredFile(key=key, size_bytes=1, sha256="0" * 64))


def redness(content: bytes, page: int) -> float:
    """Return which share of a page (from 1) is redder than anything the invoice has."""
    document = pypdfium2.PdfDocument(content)
    dots: bytes = document[page - 1].render(scale=0.5).to_pil().convert("RGB").tobytes()
    document.close()
    reds, greens = dots[0::3], dots[1::3]
    redder = [red > green + 30 for red, green in zip(reds, greens, strict=True)]
    return redder.count(True) / len(redder)


async def test_data_alone_is_shown_as_it_would_be_set(client: Client, storage: FakeStorage) -> None:
    """With a code that opens nothing, the mark across the page, and nothing kept."""
    before = dict(storage.files)

    status, content = await ask(client, an_invoice())

    assert status == 200
    [text] = texts_of(content)
    assert "Camille Martin" in text
    assert text.count("APERÇU") == 5
    assert redness(content, 1) > 0.02
    assert codes_on(content, 1) == [URL]
    assert storage.files == before


async def test_a_deposited_file_is_shown_with_its_stamp(client: Client) -> None:
    """Every page carries the mark, the first one the code."""
    status, content = await ask(client, with_document())

    assert status == 200
    first, second = texts_of(content)
    assert "the invoice" in first
    assert "its second page" in second
    assert (first.count("APERÇU"), second.count("APERÇU")) == (5, 5)
    assert redness(content, 2) > 0.02
    assert codes_on(content, 1) == [URL]


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
async def test_the_mark_covers_a_turned_page(
    client: Client, storage: FakeStorage, rotate: int
) -> None:
    """Wherever the middle of the page is shown."""
    document = pikepdf.open(BytesIO(storage.files[KEY]))
    for page in document.pages:
        page.obj.Rotate = rotate
    storage.files[KEY] = saved(document)

    status, content = await ask(client, with_document())

    assert status == 200
    assert redness(content, 1) > 0.02


async def test_a_signed_file_is_shown_with_its_sheet(client: Client, storage: FakeStorage) -> None:
    """What would be printed, though the published file would be the signed one."""
    document = pikepdf.open(BytesIO(a_pdf("signed")))
    signature = Dictionary(FT=Name.Sig, T=String("s"), V=Dictionary(Type=Name.Sig))
    document.Root.AcroForm = Dictionary(SigFlags=3, Fields=Array([signature]))
    storage.files[KEY] = saved(document)

    status, content = await ask(client, with_document())

    assert status == 200
    assert len(texts_of(content)) == 2
    assert codes_on(content, 2) == [URL]


@pytest.mark.parametrize(
    ("content", "code"), [(b"no", "not_a_pdf"), (a_pdf(*"abcdef"), "too_many_pages")]
)
async def test_what_would_be_refused_is_refused_now(
    client: Client, storage: FakeStorage, content: bytes, code: str
) -> None:
    """With the code and the sentence of the refusal to come."""
    storage.files[KEY] = content

    status, body = await ask(client, with_document())

    problem = msgspec.json.decode(body)
    assert status == 422
    assert (problem["code"], problem["detail"]) == (code, SENTENCES[code])


async def test_a_file_that_is_gone_is_refused(client: Client, storage: FakeStorage) -> None:
    """As the publication of that invoice would be."""
    storage.files.clear()

    status, body = await ask(client, with_document())

    assert (status, msgspec.json.decode(body)["code"]) == (422, "missing_object")


@pytest.mark.parametrize("key", ["published/1/v1/facture.pdf", "deposits/../published/1.pdf"])
async def test_shows_no_file_that_was_not_deposited(
    client: Client, storage: FakeStorage, key: str
) -> None:
    """A biller names the file: what belongs to others stays closed."""
    storage.files[key] = a_pdf("another's")

    status, body = await ask(client, with_document(key))

    assert (status, msgspec.json.decode(body)["code"]) == (422, "not-deposited")


@pytest.mark.parametrize(
    "invoice", [an_invoice(authority="otherville"), an_invoice(regie="CRECHE")]
)
async def test_shows_no_invoice_of_another(client: Client, invoice: InvoiceGenerated) -> None:
    """The token's authority and régies, as for every door."""
    status, body = await ask(client, invoice)

    assert (status, msgspec.json.decode(body)["code"]) == (403, "not-your-regie")


async def test_a_token_with_the_right_is_needed(client: Client) -> None:
    """`deposits:read`."""
    assert (await ask(client, an_invoice(), "writer"))[0] == 403
    assert (await ask(client, an_invoice(), "nobody"))[0] == 401


async def test_what_is_no_invoice_is_refused(client: Client) -> None:
    """The body is an `invoice.generated`, nothing looser."""
    later = msgspec.to_builtins(an_invoice(due_on=NOW.date() + timedelta(days=1)))
    del later["number"]

    answer = await client.post(
        "/v1/preview", json=later, headers={"Authorization": "Bearer biller"}
    )

    assert answer.status == 422
    assert (await answer.json())["code"] == "invalid-body"


async def test_the_payers_words_are_never_markup(client: Client) -> None:
    """A preview is set from the same template as the invoice."""
    payer = Payer(reference="F", name='#read("/etc/passwd")', address=("*x*",))

    status, content = await ask(client, an_invoice(payer=payer))

    assert status == 200
    assert '#read("/etc/passwd")' in texts_of(content)[0]
