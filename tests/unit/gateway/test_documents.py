"""The document in the page: pictures with their text, the file, and who may see them until when."""

from datetime import timedelta
from uuid import UUID

import pytest

from gateway.api.sending import disposition, safe_name
from gateway.ports import DocumentPages, PageSize, RefusedError
from tests.unit.gateway.door import (
    EMAIL,
    INVOICE_ID,
    OTHER_INVOICE_ID,
    OTHER_TOKEN,
    PASSWORD,
    TOKEN,
    Door,
    a_withdrawal,
    an_invoice,
)
from tests.unit.gateway.fakes import FakeServices

pytestmark = pytest.mark.enable_socket

OWN = f"/factures/{INVOICE_ID}"
PAPER = f"/q/{TOKEN}"


async def log_in_again(door: Door) -> None:
    """Come back another day: a session does not last that long."""
    page = await door.submit("/connexion", {"email": EMAIL, "password": PASSWORD})
    assert page.status == 303


@pytest.mark.parametrize("base", [OWN, PAPER])
async def test_the_document_stands_in_the_page(door: Door, base: str) -> None:
    """Sizes are set (no shift), pictures are lazy (no bytes before they are looked at)."""
    await door.publish(an_invoice())
    await door.log_in()

    page = await door.get(base)

    pictures = page.elements("//img[@class='document-page']")
    assert [picture.get("src") for picture in pictures] == [
        f"{base}/pages/1.webp?width=800",
        f"{base}/pages/2.webp?width=800",
    ]
    assert {(p.get("width"), p.get("height"), p.get("loading")) for p in pictures} == {
        ("1200", "1697", "lazy")
    }
    assert pictures[0].get("srcset") == (
        f"{base}/pages/1.webp?width=800 800w, {base}/pages/1.webp?width=1200 1200w"
    )
    assert [picture.get("alt") for picture in pictures] == [
        "Page 1 sur 2 de la facture 2026-0042",
        "Page 2 sur 2 de la facture 2026-0042",
    ]


async def test_what_the_pictures_show_can_be_read(door: Door) -> None:
    """RGAA 1.6: the text, as text; of a page that is a picture it is said that it has none."""
    await door.publish(an_invoice())

    page = await door.get(PAPER)

    text = page.element("//details//div[@class='document-text']")
    assert text.text_content().split("\n") == ["FactureTotal <41,50 €>"]
    assert text.get("lang") == "fr"
    assert "Cette page n’a pas de texte" in page.text
    assert "<41,50" not in page.content.decode()


async def test_a_scan_offers_no_text(door: Door, services: FakeServices) -> None:
    """Nothing to unfold that holds nothing."""
    services.document_pages = DocumentPages(
        pages=(PageSize(number=1, width=1200, height=800),), text=("",)
    )
    await door.publish(an_invoice(kind="credit_note"))

    page = await door.get(PAPER)

    assert page.elements("//details[.//div[@class='document-text']]") == []
    assert page.element("//img[@class='document-page']").get("alt") == (
        "Page 1 sur 1 de l’avoir 2026-0042"
    )


async def test_the_first_view_of_a_paper_stays_small(door: Door, services: FakeServices) -> None:
    """A telephone on a bad network: the page itself, before any picture, within 20 kB."""
    words = ("Restauration scolaire du mois d’octobre 4,15 € " * 60)[:3000]
    services.document_pages = DocumentPages(
        pages=tuple(PageSize(number=n, width=1200, height=1697) for n in (1, 2)),
        text=(words, words),
    )
    await door.publish(an_invoice())

    page = await door.get(PAPER)

    assert len(page.content) < 20_000
    assert services.pictured == []


@pytest.mark.parametrize("failure", ["down", "unpublished", "undrawable"])
async def test_a_page_stands_without_its_pictures(
    door: Door, services: FakeServices, failure: str
) -> None:
    """When publication does not tell them, what is owed is shown and the PDF can be opened."""
    await door.publish(an_invoice())
    services.documents_are_down = failure == "down"
    if failure != "down":
        code = {"unpublished": "not-published", "undrawable": "undrawable"}[failure]
        services.documents_refuse = RefusedError(404, {"code": code})

    page = await door.get(PAPER)

    assert page.status == 200
    assert page.elements("//img[@class='document-page']") == []
    assert "L’aperçu n’est pas disponible maintenant" in page.text
    assert page.elements(f"//a[@href='{PAPER}/facture.pdf']") != []
    assert "/payer" in page.actions()


@pytest.mark.parametrize("base", [OWN, PAPER])
async def test_a_picture_is_handed_through(door: Door, services: FakeServices, base: str) -> None:
    """Kept by nobody on the way; nothing may be run in it."""
    await door.publish(an_invoice())
    await door.log_in()

    page = await door.get(f"{base}/pages/2.webp?width=1200")

    assert (page.status, page.content) == (200, services.picture_bytes)
    assert page.headers["Content-Type"] == "image/webp"
    assert page.headers["Cache-Control"] == "private, no-store"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["X-Robots-Tag"] == "noindex, nofollow"
    assert services.pictured == [(INVOICE_ID, 2, 1200, "")]


async def test_a_browser_that_keeps_a_picture_is_told_that_it_is_the_same(
    door: Door, services: FakeServices
) -> None:
    """The name is publication's; an unchanged picture is not sent again."""
    await door.publish(an_invoice())
    named = (await door.get(f"{PAPER}/pages/1.webp?width=800")).headers["ETag"]

    again = await door.get(f"{PAPER}/pages/1.webp?width=800", If_None_Match=named)

    assert (again.status, again.content, again.headers["ETag"]) == (304, b"", named)
    assert services.pictured[-1] == (INVOICE_ID, 1, 800, named)


@pytest.mark.parametrize(
    "path", ["0.webp", "3.webp", "01.webp", "x.webp", "1.webp?width=801", "1.webp?width=800.0"]
)
async def test_there_are_no_other_pages_and_widths(door: Door, path: str) -> None:
    """Nobody fills publication's store with sizes."""
    await door.publish(an_invoice())

    assert (await door.get(f"{PAPER}/pages/{path}")).status == 404


async def test_what_is_no_picture_is_not_shown_as_one(door: Door, services: FakeServices) -> None:
    """Whatever came from a process that a hostile file had taken."""
    services.picture_bytes = b"<svg onload=alert(1)>"
    await door.publish(an_invoice())

    page = await door.get(f"{PAPER}/pages/1.webp?width=800")

    assert page.status == 503
    assert b"onload" not in page.content


DOORS = ("", "/facture.pdf", "/pages/1.webp?width=800")


@pytest.mark.parametrize("door_path", DOORS)
async def test_another_accounts_document_does_not_exist(
    door: Door, services: FakeServices, door_path: str
) -> None:
    """IDOR: an id that is known opens nothing, and is answered as one that is not."""
    await door.publish(an_invoice(email="quelquun@exemple.test"))
    await door.log_in()

    known = await door.get(OWN + door_path)
    unknown = await door.get(f"/factures/{UUID(int=9)}{door_path}")

    assert (known.status, unknown.status) == (404, 404)
    assert known.text == unknown.text
    assert services.pictured == []


@pytest.mark.parametrize("door_path", DOORS)
async def test_another_papers_code_opens_its_own_document_alone(
    door: Door, services: FakeServices, door_path: str
) -> None:
    """The code decides which document; nothing else in the address does."""
    await door.publish(
        an_invoice(), an_invoice(invoice_id=OTHER_INVOICE_ID, token=OTHER_TOKEN, number="2")
    )

    await door.get(f"/q/{OTHER_TOKEN}/pages/1.webp?width=800&invoice_id={INVOICE_ID}")
    wrong = await door.get(f"/q/{TOKEN[:-1]}x{door_path}")

    assert {asked[0] for asked in services.pictured} == {OTHER_INVOICE_ID}
    assert wrong.status == 404


@pytest.mark.parametrize("door_path", DOORS[1:])
async def test_who_is_not_logged_in_sees_no_document_of_an_account(
    door: Door, services: FakeServices, door_path: str
) -> None:
    """To the login, and back."""
    await door.publish(an_invoice())

    page = await door.get(OWN + door_path)

    assert page.status == 303
    assert page.location.startswith("/connexion?suite=")
    assert services.pictured == []


@pytest.mark.parametrize("base", [OWN, PAPER])
async def test_the_ninetieth_day_is_the_last(door: Door, services: FakeServices, base: str) -> None:
    """Design rule 3: to its end in France; then neither picture nor file, and the history stays."""
    await door.publish(an_invoice())
    await door.log_in()
    door.clock.advance(timedelta(days=90))
    await log_in_again(door)
    last_day = await door.get(base + DOORS[2])
    door.clock.advance(timedelta(days=1))
    await log_in_again(door)

    answers = [await door.get(base + path) for path in DOORS[1:]]
    page = await door.get(base)

    assert last_day.status == 200
    assert [answer.status for answer in answers] == [410, 410]
    assert all("90 jours sont passés" in answer.text for answer in answers)
    assert page.status == 200
    assert page.elements("//img[@class='document-page']") == []
    assert "90 jours" in page.text
    assert len(services.pictured) == 1


@pytest.mark.parametrize("door_path", DOORS)
async def test_a_withdrawn_paper_shows_no_page(
    door: Door, services: FakeServices, door_path: str
) -> None:
    """K4: 410, whatever the address."""
    await door.publish(an_invoice())
    async with door.portal() as portal:
        await portal.withdraw([a_withdrawal()])

    assert (await door.get(PAPER + door_path)).status == 410
    assert services.pictured == []


async def test_a_document_withdrawn_a_moment_ago_is_told(
    door: Door, services: FakeServices
) -> None:
    """Publication may know before we do."""
    await door.publish(an_invoice())
    services.documents_refuse = RefusedError(410, {"code": "invoice-withdrawn"})

    page = await door.get(f"{PAPER}/pages/1.webp?width=800")

    assert page.status == 410
    assert "retiré par la collectivité" in page.text


async def test_a_document_is_opened_or_kept(door: Door) -> None:
    """RFC 6266: one name for every browser, one with the letters of the language."""
    await door.publish(an_invoice(number="É/26"))

    opened = await door.get(f"{PAPER}/facture.pdf")
    kept = await door.get(f"{PAPER}/facture.pdf?enregistrer")

    names = (
        'filename="facture-26.pdf";'
        " filename*=UTF-8''Facture%20%C3%89-26%20Ville%20de%20Saint-Aubin.pdf"
    )
    assert opened.headers["Content-Disposition"] == f"inline; {names}"
    assert kept.headers["Content-Disposition"] == f"attachment; {names}"
    assert kept.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("2026-0042", "2026-0042"),
        ("../../etc/passwd", "etc-passwd"),
        ('a"; filename="b', "a---filename--b"),
        ("a\r\nSet-Cookie: x", "a--Set-Cookie--x"),
        ("é", "document"),
        ("", "document"),
        ("C" * 300, "C" * 80),
    ],
)
def test_a_file_name_is_a_name_and_nothing_else(text: str, name: str) -> None:
    """A biller's number is a stranger's text: no path, no header, no end."""
    assert safe_name(text) == name
    assert "\r" not in disposition("a.pdf", is_attachment=True, spoken_name=text)
    assert "\n" not in disposition("a.pdf", is_attachment=True, spoken_name=text)
