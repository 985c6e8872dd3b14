"""Delegations: what somebody may do with another's invoices, until when, and never more."""

import io
import json
import zipfile
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from gateway.ports.links import payer_id_of
from shared.clock import FixedClock
from tests.unit.gateway.door import EMAIL, PASSWORD, TODAY, Door, Page
from tests.unit.gateway.letters import events, kinds, last_path, letters
from tests.unit.gateway.payers import an_invoice_of, id_of, seen_by, token_of

pytestmark = pytest.mark.enable_socket

INVITED = "sacha@exemple.test"
THIRD = "alex@exemple.test"
PAYER = str(payer_id_of(an_invoice_of(1)))
LAST_DAY = (TODAY + timedelta(days=30)).isoformat()
ACCEPTED_AT = "/compte/delegations?fait=accepte"


async def invite(door: Door, **typed: str) -> Page:
    fields = {"email": INVITED, "payeur": PAYER, "droits": "lire-payer", "fin": LAST_DAY}
    return await door.submit("/compte/delegations", fields | typed)


async def become(door: Door, email: str) -> UUID:
    door.forget_cookies()
    return await door.log_in(email=email)


async def delegate(door: Door, rights: str = "lire-payer") -> tuple[UUID, UUID]:
    """Let the owner of an invoice invite somebody who accepts; who is left there is the latter."""
    await door.publish(an_invoice_of(1, email=EMAIL))
    owner = await door.log_in()
    assert (await invite(door, droits=rights)).location == "/compte/delegations?fait=invite"
    path = await last_path(door, "delegate-invited")
    delegate_id = await become(door, INVITED)
    assert (await door.send(await door.get(path), path)).location == ACCEPTED_AT
    return owner, delegate_id


async def delegation_id(door: Door) -> UUID:
    async with door.database.reading() as connection:
        found: UUID = await connection.fetchval("SELECT delegation_id FROM delegation")
        return found


async def test_who_accepts_an_invitation_reads_and_pays(door: Door) -> None:
    """C6: with their own account, what was given and nothing else of the owner's."""
    await door.publish(an_invoice_of(2, reference="EAU-7", email=EMAIL))

    _, delegate_id = await delegate(door)

    page = await door.get(f"/factures/{id_of(1)}")
    paying = await door.submit("/payer", {"invoice_id": str(id_of(1))})
    assert await seen_by(door, delegate_id) == ["2026-0001"]
    assert "Payer 41,50 € par carte" in page.text
    assert (await door.get(f"/factures/{id_of(1)}/facture.pdf")).status == 200
    assert paying.status == 200
    assert (await door.get(f"/factures/{id_of(2)}")).status == 404


async def test_the_letter_says_who_invites_and_until_when(door: Door) -> None:
    """A secret of 256 bits, good for a week; the table holds its digest alone."""
    await delegate(door)

    [letter] = [one for one in await letters(door) if one.kind == "delegate-invited"]
    async with door.database.reading() as connection:
        rows = str(await connection.fetch("SELECT * FROM delegation"))
    assert letter.email == INVITED
    assert letter.details == {
        "inviter": EMAIL,
        "authority": "Ville de Saint-Aubin",
        "until": "24\u00a0décembre\u00a02026\u00a0à\u00a023\u00a0h\u00a059",
        "rights": "lire-payer",
    }
    assert letter.expires_at == letter.due_at + timedelta(days=7)
    assert len((letter.link or "").rpartition("/")[2]) == 43
    assert (letter.link or "").rpartition("/")[2] not in rows


async def test_what_was_lent_is_not_in_the_delegates_own_data(door: Door) -> None:
    """RGPD, article 15: a copy of one's data holds nobody else's invoices."""
    await delegate(door)

    page = await door.submit("/compte/donnees/copie", {"current": "tilleul-marche-fontaine"})

    assert page.status == 200
    with zipfile.ZipFile(io.BytesIO(page.content)) as copy:
        assert json.loads(copy.read("factures.json")) == []


async def test_who_may_only_read_cannot_pay(door: Door) -> None:
    """No button, not in the list's selection, and refused where it counts."""
    await delegate(door, "lire")

    page = await door.get(f"/factures/{id_of(1)}")
    answers = [
        await door.submit("/payer", {"invoice_id": str(id_of(1))}),
        await door.get(f"/payer/selection?invoice_id={id_of(1)}"),
    ]

    assert (await door.get(f"/factures/{id_of(1)}/facture.pdf")).status == 200
    assert "/payer" not in page.actions()
    assert "Vous n’avez rien à payer." in (await door.get("/factures")).text
    assert [answer.status for answer in answers] == [403, 403]
    assert door.services.demands == []


async def test_who_may_only_pay_cannot_read_the_document(door: Door) -> None:
    """They see the sum and the subject: neither the PDF, nor its pages, nor the name."""
    await delegate(door, "payer")

    page = await door.get(f"/factures/{id_of(1)}")

    assert "41,50 €" in page.text
    assert "Restauration scolaire, octobre" in page.text
    assert "Camille Martin" not in page.text
    assert (await door.submit("/payer", {"invoice_id": str(id_of(1))})).status == 200
    for path in ("facture.pdf", "pages/1.webp"):
        assert (await door.get(f"/factures/{id_of(1)}/{path}")).status == 403


async def test_who_may_only_pay_is_not_told_what_opens_the_document(door: Door) -> None:
    """Number, year and sum open an invoice to anybody (C3): the number is for readers alone."""
    await delegate(door, "payer")
    selection = f"/payer/selection?invoice_id={id_of(1)}"

    pages = [await door.get(path) for path in ("/factures", f"/factures/{id_of(1)}", selection)]
    paying = await door.submit("/payer", {"invoice_id": str(id_of(1))})

    assert [page.status for page in (*pages, paying)] == [200] * 4
    assert [page for page in (*pages, paying) if "2026-0001" in page.content.decode()] == []


async def test_rights_end_with_their_last_minute(door: Door, clock: FixedClock) -> None:
    """Checked by the query itself, at the moment of the question."""
    _, delegate_id = await delegate(door)
    seen = []

    # The last day is the 24th of December, to midnight in France; it is 14:05 on the 24th.
    for step in (timedelta(days=30, hours=9, minutes=53), timedelta(minutes=1)):
        clock.advance(step)
        seen.append(await seen_by(door, delegate_id))
        async with door.portal() as portal:
            viewers = await portal.viewers([id_of(1)])
            seen.append([str(viewer.account_id) for viewer in viewers])

    assert seen[0] == ["2026-0001"]
    assert str(delegate_id) in seen[1]
    assert seen[2] == []
    assert str(delegate_id) not in seen[3]


@pytest.mark.parametrize("by", ["owner", "delegate"])
async def test_either_side_ends_it_at_once(door: Door, by: str) -> None:
    """The owner revokes, the delegate gives up; both sides see who did."""
    _, delegate_id = await delegate(door)
    if by == "owner":
        door.forget_cookies()
        await door.submit("/connexion", {"email": EMAIL, "password": "tilleul-marche-fontaine"})
    action = f"/compte/delegations/{await delegation_id(door)}/terminer"

    ended = await door.send(await door.get("/compte/delegations"), action)

    page = await door.get("/compte/delegations")
    assert ended.location == "/compte/delegations?fait=termine"
    assert await seen_by(door, delegate_id) == []
    assert ("retirée le" if by == "owner" else "abandonnée le") in page.text
    assert (await door.submit(action)).status == 404


async def test_what_the_owner_sees_no_more_the_delegate_sees_no_more(door: Door) -> None:
    """The delegate's right is the owner's, and ends with it."""
    _, delegate_id = await delegate(door)
    before = await seen_by(door, delegate_id)

    async with door.database.transaction() as transaction:
        await transaction.connection.execute(
            "UPDATE account SET verified_at = NULL WHERE email = $1", EMAIL
        )

    assert before == ["2026-0001"]
    assert await seen_by(door, delegate_id) == []


async def test_a_payer_given_up_leaves_the_delegations_for_good(door: Door) -> None:
    """Adding the payer again later does not give it to the delegate of then."""
    owner, delegate_id = await delegate(door)
    async with door.portal() as portal:
        await portal.revoke(owner, UUID(PAYER), "owner", door.clock.now())
    door.forget_cookies()
    await door.submit("/connexion", {"email": EMAIL, "password": "tilleul-marche-fontaine"})
    await door.submit(f"/q/{token_of(1)}/rattacher")

    assert await seen_by(door, owner) == ["2026-0001"]
    assert await seen_by(door, delegate_id) == []


async def test_a_delegate_cannot_delegate_further(door: Door) -> None:
    """What one sees as a delegate is not offered, and not taken from a made up form."""
    await delegate(door)

    page = await door.get("/compte/delegations")
    refused = await invite(door, email=THIRD)

    assert page.elements("//input[@name='payeur']") == []
    assert refused.status == 422
    assert await door.count("delegation") == 1


async def test_a_secret_is_good_once(door: Door) -> None:
    """S10: who finds the letter later gets nothing."""
    await delegate(door)
    path = await last_path(door, "delegate-invited")
    third = await become(door, THIRD)

    assert (await door.get(path)).status == 410
    assert (await door.submit(path)).status == 410
    assert await seen_by(door, third) == []


async def test_a_secret_is_good_for_a_week(door: Door, clock: FixedClock) -> None:
    """And says afterwards what to do."""
    await door.publish(an_invoice_of(1, email=EMAIL))
    await door.log_in()
    await invite(door)
    path = await last_path(door, "delegate-invited")

    clock.advance(timedelta(days=7))
    delegate_id = await become(door, INVITED)
    page = await door.submit(path)

    assert page.status == 410
    assert "Demandez-en une autre" in page.text
    assert await seen_by(door, delegate_id) == []


async def test_opening_the_letter_accepts_nothing(door: Door) -> None:
    """Mail scanners open links; and who is not logged in is told how to go on."""
    await door.publish(an_invoice_of(1, email=EMAIL))
    await door.log_in()
    await invite(door)
    path = await last_path(door, "delegate-invited")
    door.forget_cookies()

    page = await door.get(path)

    assert page.status == 200
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["X-Robots-Tag"] == "noindex, nofollow"
    assert path not in page.actions()
    assert page.elements(f"//a[@href='/connexion?suite={path}']") != []
    assert await seen_by(door, await become(door, INVITED)) == []


async def test_nobody_is_their_own_delegate(door: Door) -> None:
    """Neither by inviting themselves, nor by opening the letter."""
    await door.publish(an_invoice_of(1, email=EMAIL))
    await door.log_in()

    assert (await invite(door, email=EMAIL.upper())).status == 422
    await invite(door)
    path = await last_path(door, "delegate-invited")
    assert (await door.submit(path)).status == 410

    assert "C’est votre propre invitation" in (await door.get(path)).text


async def test_an_invitation_revoked_before_it_was_accepted_opens_nothing(door: Door) -> None:
    """The secret in the mailbox is worth nothing from then on."""
    await door.publish(an_invoice_of(1, email=EMAIL))
    await door.log_in()
    await invite(door)
    path = await last_path(door, "delegate-invited")
    await door.submit(f"/compte/delegations/{await delegation_id(door)}/terminer")

    assert (await door.get(path)).status == 410


async def test_nobody_ends_a_strangers_delegation(door: Door) -> None:
    """ASVS 8.2.2: neither side, no right; nothing changes."""
    _, delegate_id = await delegate(door)
    await become(door, THIRD)

    for name in (await delegation_id(door), uuid4(), "none"):
        assert (await door.submit(f"/compte/delegations/{name}/terminer")).status == 404

    assert await seen_by(door, delegate_id) == ["2026-0001"]


async def test_nobody_gives_what_is_not_theirs(door: Door) -> None:
    """ASVS 8.2.2: a payer's id is no right to it, alone or beside one's own."""
    await door.publish(an_invoice_of(1, email=EMAIL), an_invoice_of(2, reference="X", email=THIRD))
    await door.log_in()
    other = str(payer_id_of(an_invoice_of(2, reference="X")))

    assert (await invite(door, payeur=other)).status == 422
    seal = (await door.get("/compte/delegations")).fields("/langue")["formulaire"]
    both = [
        ("formulaire", seal),
        ("email", INVITED),
        ("payeur", PAYER),
        ("payeur", other),
        ("droits", "lire"),
        ("fin", LAST_DAY),
    ]
    assert (await door.post("/compte/delegations", both)).status == 422

    assert await door.count("delegation") == 0


@pytest.mark.parametrize(
    "typed",
    [
        {"email": "sacha"},
        {"droits": "tout"},
        {"droits": ""},
        {"fin": (TODAY - timedelta(days=1)).isoformat()},
        {"fin": (TODAY + timedelta(days=731)).isoformat()},
        {"fin": "2026-02-31"},
        {"fin": "demain"},
        {"payeur": "none"},
        {"payeur": ""},
    ],
)
async def test_what_is_not_filled_in_well_invites_nobody(door: Door, typed: dict[str, str]) -> None:
    """The field is named, what was typed stays, and no letter leaves."""
    await door.publish(an_invoice_of(1, email=EMAIL))
    await door.log_in()

    page = await invite(door, **typed)

    assert page.status == 422
    assert f'#{next(iter(typed))}"' in page.content.decode()
    assert await door.count("delegation") == 0
    assert "delegate-invited" not in await kinds(door)


async def test_two_years_are_the_longest(door: Door) -> None:
    """To the day."""
    await door.publish(an_invoice_of(1, email=EMAIL))
    await door.log_in()

    page = await invite(door, fin=(TODAY + timedelta(days=730)).isoformat())

    assert page.status == 303


async def test_nobody_sends_strangers_many_letters(door: Door) -> None:
    """S8: five invitations in a quarter of an hour."""
    await door.publish(an_invoice_of(1, email=EMAIL))
    await door.log_in()

    statuses = [(await invite(door, email=f"a{n}@exemple.test")).status for n in range(6)]

    assert statuses == [303] * 5 + [429]
    assert (await kinds(door)).count("delegate-invited") == 5


async def test_guessing_invitations_is_slowed_down(door: Door) -> None:
    """S8: from one place, however random they are."""
    path = "/compte/delegations/invitation/" + "a" * 43

    statuses = [(await door.get(path)).status for _ in range(21)]

    assert statuses == [410] * 20 + [429]


async def test_a_forged_form_gives_nothing(door: Door) -> None:
    """ASVS 3.5.1: neither an invitation, nor its acceptance, nor its end."""
    await door.publish(an_invoice_of(1, email=EMAIL))
    await door.log_in()
    await invite(door)
    path = await last_path(door, "delegate-invited")
    ending = f"/compte/delegations/{await delegation_id(door)}/terminer"
    fields = {"email": THIRD, "payeur": PAYER, "droits": "lire", "fin": LAST_DAY}

    for action in ("/compte/delegations", path, ending):
        assert (await door.post(action, fields)).status == 403

    assert await door.count("delegation WHERE ended_at IS NOT NULL OR delegate_id IS NOT NULL") == 0
    assert await door.count("delegation") == 1


async def test_both_sides_read_what_happened(door: Door) -> None:
    """S25: who has what, since when, on what evidence, in the pages and in the activity."""
    await delegate(door)

    received = await door.get("/compte/payeurs")
    delegations = await door.get("/compte/delegations")

    assert "Délégation acceptée le 24 novembre 2026 à 14 h 05." in received.text
    assert f"Accordée par {EMAIL}, jusqu’au 24 décembre 2026 à 23 h 59." in received.text
    assert "lire et payer" in delegations.text
    assert {"delegate-invited", "delegate-accepted", "delegation-accepted"} <= set(
        await events(door)
    )


async def test_what_people_call_themselves_is_shown_as_text(door: Door) -> None:
    """S22: the owner's name is on the delegate's page."""
    await delegate(door)
    async with door.database.transaction() as transaction:
        await transaction.connection.execute("UPDATE account SET display_name = '<b>x</b>'")

    page = await door.get("/compte/delegations")

    assert b"<b>x</b>" not in page.content
    assert "<b>x</b>" in page.text


@pytest.mark.parametrize("position", [1, 2], ids=["what was lent", "another of that payer"])
async def test_what_is_lent_is_not_kept_by_its_code(door: Door, position: int) -> None:
    """A right with an end does not become one without, while it lasts; not for one's own payer."""
    _, delegate_id = await delegate(door)
    await door.publish(an_invoice_of(2), an_invoice_of(3, name="Jean Dupont"))

    refused = await door.submit(f"/q/{token_of(position)}/rattacher")
    others = await door.submit(f"/q/{token_of(3)}/rattacher")

    assert refused.status == 403
    assert "Cette facture vous est confiée par une délégation" in refused.text
    assert "Demandez à la personne qui vous l’a confiée" in refused.text
    assert others.status == 303
    assert await door.count("link") == 1
    assert await seen_by(door, delegate_id) == ["2026-0001", "2026-0003"]


async def test_a_payer_of_ones_own_can_be_lent_too(door: Door) -> None:
    """Who sees them by themselves already may add a paper of theirs."""
    _, delegate_id = await delegate(door)
    await door.publish(an_invoice_of(2, email=INVITED))

    page = await door.submit(f"/q/{token_of(1)}/rattacher")

    assert page.status == 303
    assert await seen_by(door, delegate_id) == ["2026-0001", "2026-0002"]


async def test_what_was_lent_once_is_kept_in_its_owners_sight(
    door: Door, clock: FixedClock
) -> None:
    """The code on a PDF that a delegate kept opens it for good: its owner is told."""
    _, delegate_id = await delegate(door)
    clock.advance(timedelta(days=40))
    door.forget_cookies()
    await door.submit("/connexion", {"email": INVITED, "password": PASSWORD})

    page = await door.submit(f"/q/{token_of(1)}/rattacher")

    assert page.status == 303
    assert await seen_by(door, delegate_id) == ["2026-0001"]
    told = [one.email for one in await letters(door) if one.kind == "link-added"]
    assert told == [INVITED, EMAIL]
