"""The preference centre: what is wanted, of whom, by which channel, and when not."""

from typing import cast

import msgspec
import pytest

from gateway.adapters.passwords import Passwords
from gateway.adapters.vault import Vault
from gateway.load import load
from gateway.ports import WISHES, Preferences
from gateway.town_file import CitizenEntry, TownFile
from shared.events.contact_updated import Choice, ContactUpdated
from tests.unit.gateway.door import EMAIL, PASSWORD, SEALING_KEYS, Door, Page, an_invoice
from tests.unit.gateway.fakes import FakePasswords

pytestmark = pytest.mark.enable_socket

PATH = "/compte/alertes"
OF_TOWN = f"{PATH}/collectivites/saint-aubin"


async def told(door: Door) -> list[ContactUpdated]:
    """Return what was told to notification, oldest first."""
    async with door.database.reading() as connection:
        rows = await connection.fetch(
            "SELECT value FROM outbox WHERE topic = 'contact.updated' ORDER BY id"
        )
    return [msgspec.json.decode(row["value"], type=ContactUpdated) for row in rows]


async def save(door: Door, path: str, *ticked: str, **others: str) -> Page:
    """Send the form of a page with exactly these boxes ticked."""
    page = await door.get(path)
    seal = page.fields(path)["formulaire"]
    pairs = [("formulaire", seal), *(("choix", name) for name in ticked), *others.items()]
    return await door.post(path, pairs)


def ticked(page: Page) -> list[str]:
    return [str(box.get("value")) for box in page.elements("//input[@name='choix'][@checked]")]


async def test_everything_is_wanted_until_somebody_says_otherwise(door: Door) -> None:
    """Who chose nothing is told everything; the proposed silence is not on."""
    await door.log_in()

    page = await door.get(PATH)

    assert ticked(page) == [f"{event}.{channel}" for event, channel in WISHES]
    assert page.element("//input[@id='calme']").get("checked") is None
    assert await told(door) == []


async def test_choices_are_kept_shown_and_told(door: Door) -> None:
    """E5: the event holds all that is chosen, of every sort of news by every channel."""
    account_id = await door.log_in()

    answer = await save(
        door, PATH, "invoice.push", "receipt.email", calme="oui", de="21:30", a="07:00"
    )

    assert (answer.status, answer.location) == (303, f"{PATH}?fait=choix")
    page = await door.get(f"{PATH}?fait=choix")
    assert "Vos choix sont enregistrés." in page.text
    assert ticked(page) == ["invoice.push", "receipt.email"]
    [event] = await told(door)
    assert (event.account_id, event.email, event.language) == (account_id, EMAIL, "fr")
    assert (event.quiet_from, event.quiet_until) == ("21:30", "07:00")
    assert {(c.event, c.channel) for c in event.choices if c.wanted} == {
        ("invoice", "push"),
        ("receipt", "email"),
    }
    assert len(event.choices) == 6


async def test_the_same_choices_again_are_not_told_again(door: Door) -> None:
    """Pressing the button twice writes nothing to anybody."""
    await door.log_in()
    await save(door, PATH, "invoice.push")

    await save(door, PATH, "invoice.push")

    assert len(await told(door)) == 1


async def test_silence_can_be_ended(door: Door) -> None:
    """Without the box there are no hours, whatever stands in the fields."""
    await door.log_in()
    await save(door, PATH, calme="oui", de="21:00", a="08:00")

    await save(door, PATH, de="21:00", a="08:00")

    assert (await told(door))[-1].quiet_from is None
    assert await door.count("quiet_hours") == 0


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("21:00", "21:00"),
        ("24:00", "08:00"),
        ("9:00", "08:00"),
        ("21:10", "08:00"),
        ("", ""),
        ("21:00", "08:0١"),
    ],
)
async def test_hours_that_are_none_are_refused(door: Door, start: str, end: str) -> None:
    """And nothing is kept, not even the boxes of the same form."""
    await door.log_in()

    answer = await save(door, PATH, "invoice.push", calme="oui", de=start, a=end)

    assert answer.status == 422
    assert "deux heures différentes" in answer.text
    assert await door.count("choice") == 0
    assert await told(door) == []


async def test_a_box_that_is_none_of_ours_is_refused(door: Door) -> None:
    """A form that was tampered with changes nothing."""
    await door.log_in()

    answer = await save(door, PATH, "invoice.push", "invoice.sms")

    assert answer.status == 400
    assert await door.count("choice") == 0


async def test_a_form_without_our_seal_changes_nothing(door: Door) -> None:
    """S5: no other site chooses for somebody."""
    await door.publish(an_invoice())
    await door.log_in()

    for path in (PATH, OF_TOWN):
        assert (await door.post(path, {"choix": "invoice.push"})).status == 403
    assert await door.count("choice") == 0
    assert await told(door) == []


async def test_nobody_reads_or_chooses_without_a_session(door: Door) -> None:
    """To the login page, and nothing happens."""
    for path in (PATH, OF_TOWN):
        page = await door.get(path)
        assert page.location.startswith("/connexion")
        assert (await door.submit(path, {"choix": "invoice.push"})).location == "/connexion"
    assert await door.count("choice") == 0


async def test_one_authority_can_differ_and_follow_again(door: Door) -> None:
    """The default holds for all the others, and for it again once that is asked."""
    await door.publish(an_invoice())
    await door.log_in()
    await save(door, PATH, "invoice.email", "invoice.push")

    await save(door, OF_TOWN, "receipt.email")

    assert ticked(await door.get(OF_TOWN)) == ["receipt.email"]
    assert ticked(await door.get(PATH)) == ["invoice.email", "invoice.push"]
    assert "choix particuliers" in (await door.get(PATH)).text
    about = {choice.authority for choice in (await told(door))[-1].choices}
    assert about == {None, "saint-aubin"}

    await save(door, OF_TOWN, suivre="oui")

    assert ticked(await door.get(OF_TOWN)) == ["invoice.email", "invoice.push"]
    assert {choice.authority for choice in (await told(door))[-1].choices} == {None}


async def test_only_authorities_of_ones_own_invoices_can_be_chosen_for(door: Door) -> None:
    """Answered alike for one that exists and one that does not; nothing is kept."""
    await door.add_town()
    await door.publish(an_invoice(email="autre@exemple.test"))
    await door.log_in()

    for name in ("saint-aubin", "nulle-part", "a%00b"):
        path = f"{PATH}/collectivites/{name}"
        assert (await door.get(path)).status == 404
        answer = await door.submit(path, {"choix": "invoice.push"})
        assert answer.status == 404
    assert await door.count("choice") == 0
    assert await told(door) == []


async def test_choices_are_nobody_elses(door: Door) -> None:
    """IDOR: what one account chose, another neither sees nor changes."""
    await door.publish(an_invoice())
    await door.log_in()
    await save(door, PATH, "invoice.push")
    await door.submit("/deconnexion")

    await door.log_in(email="autre@exemple.test")
    await save(door, PATH, "reminder.email")

    first, second = await told(door)
    assert first.account_id != second.account_id
    assert [c.event for c in second.choices if c.wanted] == ["reminder"]
    async with door.portal() as portal:
        kept = await portal.preferences(first.account_id)
    assert kept.wanted() == {("invoice", "push")}


async def test_who_has_not_proved_an_address_is_told_what_that_means(door: Door) -> None:
    """Kept, and told once the address is proved: a stranger's address is not written to."""
    account_id = await door.log_in(verified=False)

    await save(door, PATH, "invoice.push")

    page = await door.get(PATH)
    assert "s’appliqueront dès qu’elle le sera" in page.text
    assert ticked(page) == ["invoice.push"]
    assert await told(door) == []
    async with door.portal() as portal:
        assert await portal.contact(account_id, door.clock.now()) is None


async def test_the_page_says_what_cannot_be_turned_off(door: Door) -> None:
    """Letters about the account itself, and the debt, go on."""
    await door.log_in()

    words = (await door.get(PATH)).text

    assert "ils ne peuvent pas être coupés" in words
    assert "ne change rien à ce que vous devez" in words


async def test_choices_leave_with_the_account(door: Door) -> None:
    """RGPD art. 17: they say something about a person."""
    account_id = await door.log_in()
    await save(door, PATH, "invoice.push", calme="oui", de="21:00", a="08:00")

    async with door.database.transaction() as transaction:
        await transaction.connection.execute(
            "DELETE FROM account WHERE account_id = $1", account_id
        )

    assert await door.count("choice") == 0
    assert await door.count("quiet_hours") == 0


def a_choice(wanted: bool, authority: str | None = None) -> Choice:
    return Choice(event="invoice", channel="push", authority=authority, wanted=wanted)


def test_a_choice_about_an_authority_goes_before_the_default() -> None:
    """In both directions, and whatever the order in which they are kept."""
    chosen = Preferences(
        choices=(a_choice(wanted=True, authority="a"), a_choice(wanted=False)),
    )

    assert ("invoice", "push") in chosen.wanted("a")
    assert ("invoice", "push") not in chosen.wanted("b")
    assert ("invoice", "push") not in chosen.wanted()
    assert chosen.authorities == {"a"}


async def test_an_address_that_an_operator_confirms_keeps_the_choices(door: Door) -> None:
    """The event replaces what was told before: it holds what was chosen until then."""
    account_id = await door.log_in(verified=False)
    await save(door, PATH, "receipt.push")
    citizen = CitizenEntry(email=EMAIL, password=PASSWORD, verified=True)

    await load(
        TownFile(authorities=(), citizens=(citizen,)),
        door.database,
        cast("Passwords", FakePasswords()),
        Vault(SEALING_KEYS),
    )

    [event] = await told(door)
    assert event.account_id == account_id
    assert [(c.event, c.channel) for c in event.choices if c.wanted] == [("receipt", "push")]
