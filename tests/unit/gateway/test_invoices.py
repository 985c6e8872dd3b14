"""What the code of a paper opens, and what an account shows."""

from datetime import timedelta

import pytest

from gateway.api.invoices import token_of
from gateway.ports import Movement, RefusedError
from tests.unit.gateway.door import (
    EMAIL,
    INVOICE_ID,
    NOW,
    OTHER_INVOICE_ID,
    OTHER_TOKEN,
    TODAY,
    TOKEN,
    Door,
    a_withdrawal,
    an_invoice,
)
from tests.unit.gateway.fakes import FakeServices

pytestmark = pytest.mark.enable_socket


async def pay(door: Door, amount_cents: int = 4150) -> None:
    """Let the events tell that money came in."""
    movement = Movement(
        fact=f"captured:{amount_cents}",
        invoice_id=INVOICE_ID,
        payment_id=OTHER_INVOICE_ID,
        amount_cents=amount_cents,
        means="card",
        occurred_at=NOW,
    )
    async with door.portal() as portal:
        await portal.keep_movements([movement])


async def test_a_code_shows_what_is_owed_and_never_whose_it_is(door: Door) -> None:
    """Whoever finds the paper sees authority, subject, sum and date, but no name (B6)."""
    await door.publish(an_invoice())

    page = await door.get(f"/q/{TOKEN}")

    assert page.status == 200
    for words in ("Ville de Saint-Aubin", "Restauration scolaire, octobre", "41,50 €"):
        assert words in page.text
    assert "14 décembre 2026" in page.text
    assert "/payer" in page.actions()
    assert "Martin" not in page.content.decode()


@pytest.mark.parametrize(
    "token",
    [TOKEN[:-1], TOKEN + "a", TOKEN.upper(), "x", "a" * 500, "%00" * 22, "é" * 22, "..%2F" * 5],
)
async def test_a_code_that_is_not_exactly_ours_opens_nothing(door: Door, token: str) -> None:
    """K2: cut, longer, of another case or malformed: not found."""
    await door.publish(an_invoice())

    page = await door.get(f"/q/{token}")

    assert page.status == 404
    assert "41,50" not in page.text


async def test_guessing_codes_from_one_place_is_slowed_down(door: Door) -> None:
    """K1: thirty unknown codes, then 429 with the time to wait, even for a right one."""
    await door.publish(an_invoice())

    statuses = [(await door.get(f"/q/{number:022d}")).status for number in range(31)]
    refused = await door.get(f"/q/{TOKEN}")

    assert statuses == [404] * 30 + [429]
    assert refused.status == 429
    assert refused.headers["Retry-After"] == "15"
    door.clock.advance(timedelta(seconds=16))
    assert (await door.get(f"/q/{TOKEN}")).status == 200


async def test_reading_right_codes_is_never_slowed_down(door: Door) -> None:
    """A town hall opens hundreds of papers from one address."""
    await door.publish(an_invoice())

    statuses = {(await door.get(f"/q/{TOKEN}")).status for _ in range(50)}

    assert statuses == {200}
    assert await door.count("throttle") == 0


async def test_a_paid_invoice_says_so_without_a_name_or_a_button(door: Door) -> None:
    """K3: paid, and nothing more to do."""
    await door.publish(an_invoice())
    await pay(door)

    page = await door.get(f"/q/{TOKEN}")

    assert "payée" in page.text
    assert "/payer" not in page.actions()
    assert "Martin" not in page.content.decode()


async def test_what_is_left_to_pay_is_asked_after_a_part_was_paid(door: Door) -> None:
    """The residual, never the whole again."""
    await door.publish(an_invoice())
    await pay(door, 1000)

    page = await door.get(f"/q/{TOKEN}")

    assert "Payer 31,50 € par carte" in page.text
    assert "Déjà payé : 10,00 € sur 41,50 €" in page.text


async def test_after_ninety_days_a_paid_code_tells_the_status_only(door: Door) -> None:
    """K4: neither the subject nor the sum nor a document."""
    await door.publish(an_invoice())
    await pay(door)
    door.clock.advance(timedelta(days=91))

    page = await door.get(f"/q/{TOKEN}")
    document = await door.get(f"/q/{TOKEN}/facture.pdf")

    assert "payée" in page.text
    assert "octobre" not in page.text
    assert "41,50" not in page.text
    assert "facture.pdf" not in page.content.decode()
    assert document.status == 410
    assert "90 jours" in document.text


async def test_a_debt_can_still_be_paid_after_ninety_days(door: Door) -> None:
    """What ends is the reading of the document, not the debt."""
    await door.publish(an_invoice())
    door.clock.advance(timedelta(days=91))

    page = await door.get(f"/q/{TOKEN}")

    assert "Payer 41,50 € par carte" in page.text
    assert "octobre" not in page.text


async def test_after_the_ninety_days_no_page_of_the_code_tells_the_number(door: Door) -> None:
    """C3: it is part of what opens the invoice at /retrouver; the debt can still be paid."""
    await door.publish(an_invoice())
    pages = []

    for days in (0, 91):
        door.clock.advance(timedelta(days=days))
        paper = await door.get(f"/q/{TOKEN}")
        pages += [paper, await door.get(f"/q/{TOKEN}/payer"), await door.send(paper, "/payer")]

    assert [page.status for page in pages] == [200] * 6
    assert ["2026-0042" in page.text for page in pages] == [True] * 3 + [False] * 3


async def test_the_last_of_the_ninety_days_is_still_one(door: Door) -> None:
    """`readable_until` is included, by the calendar of France."""
    await door.publish(an_invoice())
    door.clock.advance(timedelta(days=90))

    assert (await door.get(f"/q/{TOKEN}/facture.pdf")).status == 200


@pytest.mark.parametrize("path", [f"/q/{TOKEN}", f"/q/{TOKEN}/facture.pdf"])
async def test_a_withdrawn_invoice_is_gone(door: Door, path: str) -> None:
    """K5: 410, and nothing to pay."""
    await door.publish(an_invoice())
    async with door.portal() as portal:
        await portal.withdraw([a_withdrawal()])

    page = await door.get(path)

    assert page.status == 410
    assert "vous n’avez rien à payer" in page.text
    assert "/payer" not in page.actions()


async def test_a_higher_version_after_a_withdrawal_is_shown_again(door: Door) -> None:
    """The same paper then leads to the corrected invoice."""
    await door.publish(an_invoice())
    async with door.portal() as portal:
        await portal.withdraw([a_withdrawal()])
    await door.publish(an_invoice(version=2, amount_cents=3000))

    page = await door.get(f"/q/{TOKEN}")

    assert page.status == 200
    assert "30,00 €" in page.text


async def test_a_credit_note_asks_for_nothing(door: Door) -> None:
    """It is the citizen who is owed."""
    await door.publish(an_invoice(kind="credit_note"))

    page = await door.get(f"/q/{TOKEN}")

    assert "avoir" in page.text
    assert "/payer" not in page.actions()


async def test_what_a_biller_wrote_is_shown_as_text(door: Door) -> None:
    """A subject is never markup."""
    await door.publish(an_invoice(subject="<script>alert(1)</script>"))

    page = await door.get(f"/q/{TOKEN}")

    assert b"<script>" not in page.content
    assert "<script>alert(1)</script>" in page.text


async def test_the_document_is_handed_through_whole(door: Door, services: FakeServices) -> None:
    """K9: served to whoever holds the code, as a PDF that nothing may keep."""
    services.document_bytes = b"%PDF-" + bytes(range(256)) * 40
    await door.publish(an_invoice(number='20"26/\r\n42'))

    page = await door.get(f"/q/{TOKEN}/facture.pdf")

    assert page.status == 200
    assert page.content == services.document_bytes
    assert page.headers["Content-Type"] == "application/pdf"
    assert page.headers["Content-Disposition"] == (
        'inline; filename="facture-20-26---42.pdf";'
        " filename*=UTF-8''Facture%2020-26-%2042%20Ville%20de%20Saint-Aubin.pdf"
    )
    assert page.headers["Cache-Control"] == "private, no-store"
    assert page.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("refusal", "status", "words"),
    [
        (RefusedError(410, {"code": "document-expired"}), 410, "90 jours"),
        (RefusedError(410, {"code": "invoice-withdrawn"}), 410, "retiré"),
        (RefusedError(404, {"code": "not-published"}), 404, "pas encore disponible"),
    ],
)
async def test_a_document_that_is_not_there_is_explained(
    door: Door, services: FakeServices, refusal: RefusedError, status: int, words: str
) -> None:
    """Publication's refusals become sentences."""
    services.refusal = refusal
    await door.publish(an_invoice())

    page = await door.get(f"/q/{TOKEN}/facture.pdf")

    assert page.status == status
    assert words in page.text


async def test_when_publication_is_down_the_page_says_to_come_back(
    door: Door, services: FakeServices
) -> None:
    """503, never a trace."""
    services.is_down = True
    await door.publish(an_invoice())

    page = await door.get(f"/q/{TOKEN}/facture.pdf")

    assert page.status == 503
    assert "momentanément indisponible" in page.text


async def test_a_typed_code_leads_to_its_page(door: Door) -> None:
    """Without a telephone the printed address is copied, spaces and all."""
    page = await door.submit("/q", {"code": f" https://factures.exemple.test/q/ {TOKEN} "})

    assert (page.status, page.location) == (303, f"/q/{TOKEN}")


async def test_a_typed_code_that_is_none_is_asked_again(door: Door) -> None:
    """The field says what is wrong, and keeps what was typed."""
    page = await door.submit("/q", {"code": "abc"})

    assert page.status == 422
    assert "Ce code n’est pas complet" in page.text
    assert page.fields("/q")["code"] == "abc"


@pytest.mark.parametrize(
    ("typed", "token"),
    [
        (TOKEN, TOKEN),
        (f"https://factures.exemple.test/q/{TOKEN}", TOKEN),
        (f"factures.exemple.test/q/{TOKEN}/", TOKEN),
        (f"https://factures.exemple.test/q/{TOKEN}?via=mail#x", TOKEN),
        ("https://factures.exemple.test/", None),
        ("", None),
        (f"/q/{TOKEN}/facture.pdf", None),
    ],
)
def test_a_token_is_found_in_what_people_type(typed: str, token: str | None) -> None:
    """Alone, or as the whole address."""
    assert token_of(typed) == token


async def test_an_account_lists_what_was_sent_to_its_proved_address(door: Door) -> None:
    """All authorities, overdue first, with the sum that is left to pay."""
    await door.log_in()
    await door.publish(
        an_invoice(),
        an_invoice(
            invoice_id=OTHER_INVOICE_ID,
            token=OTHER_TOKEN,
            number="2026-0007",
            due_on=TODAY - timedelta(days=1),
            subject="Piscine",
        ),
    )

    page = await door.get("/factures")

    assert "2 factures à payer, dont 1 en retard." in page.text
    assert "Reste à payer 83,00 €" in page.text
    assert page.text.index("Piscine") < page.text.index("Restauration scolaire, octobre")


async def test_an_address_that_is_not_proved_brings_no_invoice(door: Door) -> None:
    """Whoever types somebody's address must not get their invoices (C5)."""
    await door.log_in(verified=False)
    await door.publish(an_invoice())

    assert "2026-0042" not in (await door.get("/factures")).text
    assert (await door.get(f"/factures/{INVOICE_ID}")).status == 404


async def test_the_paper_proves_whose_an_invoice_is(door: Door) -> None:
    """An account whose address is not proved attaches what it holds on paper."""
    await door.log_in(verified=False)
    await door.publish(an_invoice())

    attached = await door.submit(f"/q/{TOKEN}/rattacher")
    again = await door.submit(f"/q/{TOKEN}/rattacher")

    assert (attached.status, attached.location) == (303, f"/factures/{INVOICE_ID}")
    assert again.status == 303
    assert "2026-0042" in (await door.get("/factures")).text
    assert await door.count("link") == 1


@pytest.mark.parametrize("suffix", ["", "/facture.pdf"])
async def test_somebody_elses_invoice_does_not_exist(door: Door, suffix: str) -> None:
    """S1: an id proves nothing; the answer is that of an invoice that does not exist."""
    await door.log_in(email="autre@exemple.test")
    await door.publish(an_invoice(email=EMAIL))

    foreign = await door.get(f"/factures/{INVOICE_ID}{suffix}")
    unknown = await door.get(f"/factures/{OTHER_INVOICE_ID}{suffix}")
    malformed = await door.get(f"/factures/nothing{suffix}")

    assert [page.status for page in (foreign, unknown, malformed)] == [404, 404, 404]
    assert foreign.text == unknown.text == malformed.text


@pytest.mark.parametrize("path", ["/factures", f"/factures/{INVOICE_ID}", "/compte"])
async def test_who_is_not_logged_in_is_sent_to_log_in_and_back(door: Door, path: str) -> None:
    """Nothing of an account is shown before."""
    page = await door.get(path)

    assert (page.status, page.location) == (303, f"/connexion?suite={path}")


@pytest.mark.parametrize(
    ("chosen", "is_shown"),
    [("", True), ("a-payer", False), ("en-retard", False), ("payees", True), ("autres", False)],
)
async def test_a_paid_invoice_stands_where_it_belongs(
    door: Door, chosen: str, is_shown: object
) -> None:
    """Each filter shows its own statuses."""
    await door.log_in()
    await door.publish(an_invoice())
    await pay(door)

    page = await door.get(f"/factures?etat={chosen}")

    assert ("2026-0042" in page.text) is is_shown


async def test_a_long_list_comes_in_pages(door: Door) -> None:
    """Fifty at once, each invoice on exactly one page."""
    await door.log_in()
    await door.publish(
        *(
            an_invoice(
                invoice_id=type(INVOICE_ID)(int=number),
                token=f"{number:022d}",
                number=f"N{number:03d}",
            )
            for number in range(1, 54)
        )
    )

    first, second = await door.get("/factures?page=1"), await door.get("/factures?page=2")

    whens = "//ul[@class='invoices']//span[@class='when']/text()"
    shown = [[when.split(" ·")[0] for when in page.elements(whens)] for page in (first, second)]
    assert shown[0] == [f"n° N{number:03d}" for number in range(53, 3, -1)]
    assert shown[1] == ["n° N003", "n° N002", "n° N001"]


async def test_the_history_of_an_invoice_is_told(door: Door) -> None:
    """Payments, money given back and reminders, with their dates."""
    await door.log_in()
    await door.publish(an_invoice())
    await pay(door)
    await pay(door, -4150)

    page = await door.get(f"/factures/{INVOICE_ID}")

    assert "Paiement par carte bancaire 24 novembre 2026 à 14 h 05 41,50 €" in page.text
    assert "Somme rendue 24 novembre 2026 à 14 h 05 -41,50 €" in page.text
    assert "Payer 41,50 € par carte" in page.text
