"""The list of an account: its parts, its filters, its pages, and what was paid by month."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import msgspec
import pytest

from gateway.api.listing import Wish, page_numbers
from gateway.ports import Movement
from shared.events import InvoicePublished
from tests.unit.gateway.door import TODAY, Door, an_invoice

pytestmark = pytest.mark.enable_socket


def numbered(
    number: int,
    *,
    authority: str = "saint-aubin",
    issued_on: date = date(2026, 11, 1),
    due_on: date = TODAY + timedelta(days=20),
) -> InvoicePublished:
    invoice = an_invoice(
        invoice_id=UUID(int=number),
        token=f"{number:022d}",
        number=f"N{number}",
        due_on=due_on,
        subject=f"Facture {number}",
    )
    return msgspec.structs.replace(
        invoice,
        authority=authority,
        authority_name="Ville" if authority == "saint-aubin" else "Communauté",
        issued_on=issued_on,
    )


def paid(number: int, at: datetime, cents: int = 4150) -> Movement:
    return Movement(
        fact=f"captured:{number}:{cents}",
        invoice_id=UUID(int=number),
        payment_id=UUID(int=number),
        amount_cents=cents,
        means="card",
        occurred_at=at,
    )


async def keep(door: Door, *movements: Movement) -> None:
    async with door.portal() as portal:
        await portal.keep_movements(movements)


async def subjects(door: Door, path: str) -> dict[str, list[str]]:
    """Return the subjects on the list below the heading that they stand under."""
    page = await door.get(path)
    return {
        str(part.get("aria-labelledby")): [str(a.text) for a in part.xpath(".//li/a")]
        for part in page.elements("//section[ul[@class='invoices']]")
    }


async def test_what_is_late_comes_first_then_what_is_due_soonest_then_what_is_paid(
    door: Door,
) -> None:
    """C1: to pay, paid, the rest."""
    await door.log_in()
    await door.publish(
        numbered(1, due_on=TODAY + timedelta(days=30)),
        numbered(2, due_on=TODAY + timedelta(days=3)),
        numbered(3, due_on=TODAY - timedelta(days=1)),
        numbered(4, due_on=TODAY - timedelta(days=40)),
        numbered(5),
    )
    await keep(door, paid(5, datetime(2026, 11, 2, tzinfo=UTC)))

    assert await subjects(door, "/factures") == {
        "a-payer": ["Facture 4", "Facture 3", "Facture 2", "Facture 1"],
        "payees": ["Facture 5"],
    }


async def test_an_authority_and_a_year_narrow_the_list(door: Door) -> None:
    """Each alone and both together; the links to the other filters keep them."""
    await door.log_in()
    await door.publish(
        numbered(1),
        numbered(2, authority="val-de-brume"),
        numbered(3, issued_on=date(2025, 3, 1)),
        numbered(4, authority="val-de-brume", issued_on=date(2025, 3, 1)),
    )

    of_authority = await subjects(door, "/factures?collectivite=val-de-brume")
    of_year = await subjects(door, "/factures?annee=2025")
    both = await door.get("/factures?annee=2025&collectivite=val-de-brume")

    assert of_authority == {"a-payer": ["Facture 2", "Facture 4"]}
    assert of_year == {"a-payer": ["Facture 4", "Facture 3"]}
    assert "Facture 4" in both.text
    assert "Facture 2" not in both.text
    assert "Reste à payer 166,00 €" in both.text
    assert [str(link) for link in both.elements("//ul[@class='filters']//a/@href")][:2] == [
        "/factures?collectivite=val-de-brume&annee=2025",
        "/factures?etat=a-payer&collectivite=val-de-brume&annee=2025",
    ]
    assert both.fields("/factures") == {"collectivite": "val-de-brume", "annee": "2025"}


@pytest.mark.parametrize(
    "query",
    [
        "etat=tout",
        "collectivite=nowhere",
        "annee=1789",
        "annee=%27",
        "page=0",
        "page=-1",
        "page=99999999",
        "page=%C2%B2",
        "etat=%3Cscript%3E&collectivite=%22&annee=2026&page=x",
    ],
)
async def test_what_no_invoice_has_is_not_asked(door: Door, query: str) -> None:
    """A link that somebody wrote shows the list, and nothing that they wrote."""
    await door.log_in()
    await door.publish(numbered(1))

    page = await door.get(f"/factures?{query}")

    assert page.status == 200
    assert "Facture 1" in page.text
    assert not {"nowhere", "1789", "%3Cscript"} & set(page.content.decode().split('"'))


async def test_an_account_without_invoices_is_told_how_they_come(door: Door) -> None:
    """An empty list helps; it offers no filter."""
    await door.log_in()

    page = await door.get("/factures")

    assert "Aucune facture ici pour l’instant" in page.text
    assert page.elements("//main//a[@href='/scanner']")
    assert page.elements("//ul[@class='filters']") == []


async def test_a_choice_that_nothing_fits_leads_back_to_all(door: Door) -> None:
    """And says that it is the choice."""
    await door.log_in()
    await door.publish(numbered(1))

    page = await door.get("/factures?etat=payees")

    assert "Aucune facture ne correspond à ce choix" in page.text
    assert page.elements("//main//a[@class='button second'][@href='/factures']")


async def test_months_are_those_of_france_and_less_what_went_back(door: Door) -> None:
    """The last evening of a month is not the first night of the next."""
    await door.log_in()
    await door.publish(numbered(1), numbered(2), numbered(3))
    await keep(
        door,
        paid(1, datetime(2026, 10, 31, 22, 59, tzinfo=UTC)),
        paid(2, datetime(2026, 10, 31, 23, 1, tzinfo=UTC)),
        paid(2, datetime(2026, 11, 3, 8, 0, tzinfo=UTC), cents=-1000),
        paid(3, datetime(2025, 11, 30, 22, 59, tzinfo=UTC)),
    )

    page = await door.get("/factures?etat=payees")

    rows = [" ".join(" ".join(row.itertext()).split()) for row in page.elements("//tbody/tr")]
    assert rows == ["novembre 2026 31,50 €", "octobre 2026 41,50 €"]
    assert page.elements("//tbody//rect/@width") == ["75.9", "100.0"]
    assert page.elements("//main//table/caption") != []


async def test_what_others_paid_is_in_no_bar(door: Door) -> None:
    """S1: months are those of the account's own invoices."""
    await door.log_in(email="autre@exemple.test")
    await door.publish(numbered(1))
    await keep(door, paid(1, datetime(2026, 11, 2, tzinfo=UTC)))

    page = await door.get("/factures?etat=payees")

    assert "41,50" not in page.text
    assert page.elements("//main//table") == []


@pytest.mark.parametrize(
    ("number", "count", "offered"),
    [
        (1, 1, [1]),
        (3, 7, [1, 2, 3, 4, 5, 6, 7]),
        (1, 20, [1, 2, 0, 20]),
        (2, 20, [1, 2, 3, 0, 20]),
        (10, 20, [1, 0, 9, 10, 11, 0, 20]),
        (20, 20, [1, 0, 19, 20]),
    ],
)
async def test_few_pages_are_offered_of_many(number: int, count: int, offered: list[int]) -> None:
    """The first, the last and those around; 0 where some are left out."""
    assert page_numbers(number, count) == offered


async def test_a_wish_is_an_address(door: Door) -> None:
    """What is not wanted is not in it."""
    wish = Wish(state="payees", year="2025")

    assert wish.address() == "/factures?etat=payees&annee=2025"
    assert wish.address(state="", number=2) == "/factures?annee=2025&page=2"
    assert Wish().address() == "/factures"
