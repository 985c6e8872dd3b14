"""Invitations by agents: the authority vouches for an address, and its reader sees a payer (C5)."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import msgspec
import pytest

from gateway.ports.links import payer_id_of
from gateway.store import PostgresPeople
from shared.clock import FixedClock
from shared.events import InvoicePublished
from tests.unit.gateway.door import EMAIL, NOW, PASSWORD, Door, Page, a_withdrawal
from tests.unit.gateway.letters import events, kinds, last_path, letters
from tests.unit.gateway.payers import an_invoice_of, id_of, seen_by, token_of
from tests.unit.gateway.test_delegates import delegate

pytestmark = pytest.mark.enable_socket

INVITED = "sacha@exemple.test"
INVITATIONS = "/regie/invitations"
ACCEPTED_AT = "/compte/payeurs?fait=ajoute"
GUESSED = "/compte/invitation-redevable/" + "a" * 43


async def be_agent(door: Door, *invoices: InvoicePublished) -> None:
    await door.add_town()
    await door.publish(*(invoices or (an_invoice_of(1),)))
    await door.log_in_agent()


async def invite(door: Door, **typed: str) -> Page:
    fields = {"numero": "2026-0001", "montant": "41,50", "email": INVITED, "verifie": "oui"}
    return await door.submit(INVITATIONS, fields | typed)


async def invited(door: Door, *invoices: InvoicePublished) -> str:
    """Let an agent invite somebody; return where the letter leads, with nobody logged in."""
    await be_agent(door, *invoices)
    assert (await invite(door)).location == f"{INVITATIONS}?fait=invite"
    door.forget_cookies()
    return await last_path(door, "payer-invited")


async def cancellation(door: Door) -> str:
    async with door.database.reading() as connection:
        found = await connection.fetchval("SELECT invitation_id FROM payer_invitation")
    return f"{INVITATIONS}/{found}/annuler"


async def of_another_town(door: Door) -> None:
    """Make the agent one of another town."""
    async with door.database.transaction() as transaction:
        people = PostgresPeople(transaction.connection)
        await people.keep_authority("val-de-brume", "Val de Brume", 1, b'{"regies":[]}')
        await transaction.connection.execute("UPDATE agent SET authority = 'val-de-brume'")


async def test_who_accepts_sees_the_payer_past_and_to_come(door: Door) -> None:
    """C5: the link says by whom, the account's activity has its line, a letter tells its owner."""
    path = await invited(door, an_invoice_of(1), an_invoice_of(2))
    account_id = await door.log_in(email=INVITED)

    accepted = await door.send(await door.get(path), path)

    await door.publish(an_invoice_of(3))
    page = await door.get("/compte/payeurs")
    async with door.database.reading() as connection:
        evidence = await connection.fetchval("SELECT evidence FROM link")
        [row] = await connection.fetch("SELECT * FROM payer_invitation")
    assert accepted.location == ACCEPTED_AT
    assert await seen_by(door, account_id) == ["2026-0001", "2026-0002", "2026-0003"]
    assert "Ajouté le 24 novembre 2026 à 14 h 05 par un agent de la collectivité." in page.text
    assert evidence == "agent"
    assert (row["agent_login"], row["account_id"]) == ("regisseur", account_id)
    assert (row["accepted_at"], row["secret_sha256"]) == (NOW, None)
    assert "link-added" in await events(door)
    assert [one.email for one in await letters(door) if one.kind == "link-added"] == [INVITED]


async def test_the_letter_names_the_authority_and_nobody(door: Door) -> None:
    """It may reach whom it is not for: no person, sum or number; its secret is kept nowhere."""
    path = await invited(door)

    [letter] = [one for one in await letters(door) if one.kind == "payer-invited"]
    secret = path.rpartition("/")[2]
    async with door.database.reading() as connection:
        rows = str(await connection.fetch("SELECT * FROM payer_invitation"))
    assert (letter.email, letter.language) == (INVITED, "fr")
    assert letter.details == {"authority": "Ville de Saint-Aubin"}
    assert letter.expires_at == letter.due_at + timedelta(days=7)
    assert len(secret) == 43
    assert secret not in rows


async def test_the_letter_is_in_the_language_of_the_account_that_has_the_address(
    door: Door,
) -> None:
    """The agent's own language is for who has no account; the answer to the agent is the same."""
    account_id = await door.add_account(email=INVITED)
    async with door.portal() as portal:
        await portal.set_profile(account_id, "", "en")
    await be_agent(door)

    answers = [await invite(door), await invite(door, email="alex@exemple.test")]

    assert [one.location for one in answers] == [f"{INVITATIONS}?fait=invite"] * 2
    assert [one.language for one in await letters(door)] == ["en", "fr"]


async def test_opening_the_letter_accepts_nothing(door: Door) -> None:
    """Mail scanners open links; who is not logged in is told how to go on, and by whom."""
    path = await invited(door)

    page = await door.get(path)

    assert page.status == 200
    assert "Ville de Saint-Aubin vous propose" in page.text
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["X-Robots-Tag"] == "noindex, nofollow"
    assert path not in page.actions()
    assert page.elements(f"//a[@href='/connexion?suite={path}']") != []
    for told in ("Camille Martin", "41,50", "2026-0001"):
        assert told not in page.text
    assert await door.count("link") == 0


async def test_who_is_not_logged_in_accepts_nothing(door: Door) -> None:
    """And the secret is still good afterwards."""
    path = await invited(door)

    answer = await door.submit(path)

    assert (answer.status, answer.location) == (303, "/connexion")
    assert (await door.get(path)).status == 200
    assert await door.count("link") == 0


async def test_an_agent_does_not_accept(door: Door) -> None:
    """An agent's session is nobody's account: the page says so, the form changes nothing."""
    await be_agent(door)
    await invite(door)
    path = await last_path(door, "payer-invited")

    page, answer = await door.get(path), await door.submit(path)

    assert "Vous êtes connecté comme agent" in page.text
    assert path not in page.actions()
    assert (answer.status, answer.location) == (303, "/connexion")
    assert await door.count("link") == 0
    assert await door.count("payer_invitation WHERE accepted_at IS NULL") == 1


async def test_a_citizen_invites_nobody(door: Door) -> None:
    """ASVS 8.2.1: nor reads who was invited, nor takes an invitation back."""
    await invited(door)
    action = await cancellation(door)
    await door.log_in()

    answers = [await door.get(INVITATIONS), await invite(door), await door.submit(action)]

    assert [one.location for one in answers] == ["/regie/connexion"] * 3
    assert await door.count("payer_invitation WHERE ended_at IS NULL") == 1


async def test_a_password_without_the_second_factor_invites_nobody(door: Door) -> None:
    """ASVS 6.3.3."""
    await door.add_town()
    await door.publish(an_invoice_of(1))
    await door.submit("/regie/connexion", {"login": "regisseur", "password": PASSWORD})

    answer = await invite(door)

    assert answer.location == "/regie/connexion"
    assert await door.count("payer_invitation") == 0


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"numero": "2026-0009"}, "numero"),
        ({"numero": ""}, "numero"),
        ({"numero": " -- "}, "numero"),
        ({"montant": ""}, "montant"),
        ({"montant": "41,5O"}, "montant"),
        ({"montant": "41,51"}, "montant"),
        ({"email": "sacha"}, "email"),
        ({"email": ""}, "email"),
        ({"verifie": ""}, "verifie"),
        ({"verifie": "non"}, "verifie"),
    ],
)
async def test_what_is_not_filled_in_well_invites_nobody(
    door: Door, typed: dict[str, str], field: str
) -> None:
    """The field is named, what was typed stays, and no letter leaves."""
    await be_agent(door)

    page = await invite(door, **typed)

    assert page.status == 422
    assert [link.get("href") for link in page.elements("//div[@role='alert']//a")] == [f"#{field}"]
    assert page.element("//input[@id='email']").get("value") == typed.get("email", INVITED)
    assert await door.count("payer_invitation") == 0
    assert await kinds(door) == []


@pytest.mark.parametrize("typed", ["2026 0001", "2026-0001", "tp 77/12"])
async def test_a_number_is_read_as_people_copy_it(door: Door, typed: str) -> None:
    """As where invoices are found by what is printed: also a titre's debt reference."""
    await be_agent(door, msgspec.structs.replace(an_invoice_of(1), debt_reference="TP-7712"))

    assert (await invite(door, numero=typed)).status == 303

    async with door.database.reading() as connection:
        found = await connection.fetchval("SELECT invoice_id FROM payer_invitation")
    assert found == id_of(1)


async def test_a_slip_in_the_number_invites_to_nobody_else(door: Door) -> None:
    """The sum on the paper before the agent is not that of the number they typed."""
    stranger = an_invoice_of(2, reference="EAU-7", name="Jean Dupont")
    await be_agent(door, an_invoice_of(1), msgspec.structs.replace(stranger, amount_cents=9_900))

    page = await invite(door, numero="2026-0002")

    assert page.status == 422
    assert "Écrivez le montant total imprimé sur cette facture" in page.text
    assert await door.count("payer_invitation") == 0
    assert await kinds(door) == []


async def test_an_invoice_of_another_authority_invites_nobody(door: Door) -> None:
    """ASVS 8.2.2: neither by its number, nor by its id in a made up form; it answers as unknown."""
    other = an_invoice_of(2, authority="val-de-brume")
    await be_agent(door, an_invoice_of(1), other)

    pages = [
        await invite(door, numero="2026-0002"),
        await invite(door, numero="2026-0002", facture=str(id_of(2))),
    ]

    for page in pages:
        assert page.status == 422
        assert "Aucune facture publiée de votre collectivité ne porte ce numéro." in page.text
    assert await door.count("payer_invitation") == 0


async def test_an_invoice_that_was_withdrawn_invites_nobody(door: Door) -> None:
    """It is not published any more."""
    await be_agent(door)
    await withdraw(door)

    assert (await invite(door)).status == 422
    assert await door.count("payer_invitation") == 0


async def withdraw(door: Door) -> None:
    async with door.portal() as portal:
        await portal.withdraw([msgspec.structs.replace(a_withdrawal(), invoice_id=id_of(1))])


def same_number(position: int, **changes: object) -> InvoicePublished:
    return msgspec.structs.replace(
        an_invoice_of(position, reference="EAU-7", name="Jean Dupont"),
        number="2026-0001",
        regie_label="Eau",
        **changes,
    )


async def test_a_number_of_two_payers_is_asked_about(door: Door) -> None:
    """Régies and years count from one each: a guess would show a stranger's invoices."""
    await be_agent(door, an_invoice_of(1), same_number(2))

    asked = await invite(door)
    guessed = await invite(door, facture=str(uuid4()))
    chosen = await door.send(asked, INVITATIONS, facture=str(id_of(2)))

    async with door.database.reading() as connection:
        found = await connection.fetch("SELECT invoice_id FROM payer_invitation")
    assert (asked.status, guessed.status, chosen.status) == (422, 422, 303)
    assert len(asked.elements("//input[@name='facture']")) == 2
    assert "Camille Martin" not in asked.text
    assert [row["invoice_id"] for row in found] == [id_of(2)]


async def test_the_newest_invoice_of_one_payer_is_taken(door: Door) -> None:
    """The same number again, a year later: it is the same payer whichever is meant."""
    again = msgspec.structs.replace(an_invoice_of(2), number="2026-0001")
    older = msgspec.structs.replace(an_invoice_of(1), issued_on=NOW.date() - timedelta(days=400))
    await be_agent(door, older, again)

    await invite(door)

    async with door.database.reading() as connection:
        assert await connection.fetchval("SELECT invoice_id FROM payer_invitation") == id_of(2)


async def test_agents_read_who_was_invited_and_how_it_stands(door: Door, clock: FixedClock) -> None:
    """Newest first: by whom, when, and whether it waits, was accepted, cancelled or ran out."""
    await be_agent(door)
    await invite(door, email="expired@exemple.test")
    clock.advance(timedelta(days=7))
    await door.log_in_agent()
    for name in ("accepted", "cancelled", "pending"):
        clock.advance(timedelta(minutes=1))
        await invite(door, email=f"{name}@exemple.test")
    async with door.portal() as portal:
        listed = await portal.payer_invitations("saint-aubin")
        await portal.cancel_payer_invitation("saint-aubin", listed[1].invitation_id, clock.now())
    paths = [one.link or "" for one in await letters(door) if one.kind == "payer-invited"]
    account_id = await door.add_account()
    async with door.portal() as portal:
        secret = paths[1].rpartition("/")[2]
        assert await portal.accept_payer_invitation(secret, account_id, clock.now()) is not None

    page = await door.get(INVITATIONS)

    lines = [" ".join(one.text_content().split()) for one in page.elements("//main//ul/li/span")]
    assert [line.partition(" · ")[0].partition("@")[0] for line in lines] == [
        "pending",
        "cancelled",
        "accepted",
        "expired",
    ]
    assert [line.rpartition(" · ")[2].split()[0] for line in lines] == [
        "en",
        "annulée",
        "acceptée",
        "expirée",
    ]
    assert "facture n° 2026-0001" in lines[0]
    assert "envoyée le 1 décembre 2026 à 14 h 08 par regisseur" in lines[0].replace("\u00a0", " ")
    assert len([path for path in page.actions() if path.endswith("/annuler")]) == 1


async def test_agents_of_another_authority_read_nothing_of_it(door: Door) -> None:
    """ASVS 8.2.2."""
    await be_agent(door)
    await invite(door)
    await of_another_town(door)

    page = await door.get(INVITATIONS)

    assert "Val de Brume" in page.text
    assert INVITED not in page.text
    assert "n’a encore invité personne" in page.text


async def test_an_invitation_that_was_cancelled_opens_nothing(door: Door) -> None:
    """At once; cancelling again is of nothing."""
    await be_agent(door)
    await invite(door)
    path, action = await last_path(door, "payer-invited"), await cancellation(door)

    cancelled = await door.send(await door.get(INVITATIONS), action)
    again = await door.submit(action)
    door.forget_cookies()
    account_id = await door.log_in(email=INVITED)

    assert cancelled.location == f"{INVITATIONS}?fait=annule"
    assert again.status == 404
    assert [(await door.get(path)).status, (await door.submit(path)).status] == [410, 410]
    assert await seen_by(door, account_id) == []


async def test_nobody_cancels_what_another_authority_sent(door: Door) -> None:
    """ASVS 8.2.2: by its id, or by anything; it stays as it is."""
    await be_agent(door)
    await invite(door)
    path, action = await last_path(door, "payer-invited"), await cancellation(door)
    await of_another_town(door)

    answers = [
        await door.submit(action),
        await door.submit(f"{INVITATIONS}/{uuid4()}/annuler"),
        await door.submit(f"{INVITATIONS}/none/annuler"),
    ]

    assert [one.status for one in answers] == [404, 404, 404]
    assert (await door.get(path)).status == 200


async def test_an_invitation_that_was_accepted_is_not_cancelled(door: Door) -> None:
    """Its link is its owner's to end."""
    path = await invited(door)
    account_id = await door.log_in(email=INVITED)
    await door.submit(path)
    door.forget_cookies()
    door.clock.advance(timedelta(seconds=30))
    await door.log_in_agent()

    assert (await door.submit(await cancellation(door))).status == 404
    assert await seen_by(door, account_id) == ["2026-0001"]


async def test_a_second_invitation_replaces_the_first(door: Door) -> None:
    """The same invoice and address, however it is written: one secret is good, the last."""
    await be_agent(door)
    await invite(door)
    first = await last_path(door, "payer-invited")
    await invite(door, email=INVITED.upper())
    second = await last_path(door, "payer-invited")
    await invite(door, email="alex@exemple.test")

    statuses = [(await door.get(path)).status for path in (first, second)]

    assert statuses == [410, 200]
    assert await door.count("payer_invitation WHERE ended_at IS NULL") == 2
    assert await door.count("payer_invitation WHERE ended_at IS NOT NULL") == 1


async def test_two_agents_who_invite_at_once_leave_one_good_secret(door: Door) -> None:
    """Neither fails, whoever comes second."""
    await be_agent(door)

    answers = await asyncio.gather(*(invite(door) for _ in range(4)))

    assert [one.status for one in answers] == [303] * 4
    assert await door.count("payer_invitation WHERE ended_at IS NULL") == 1
    paths = [one.link or "" for one in await letters(door)]
    good = [(await door.get("/" + path.split("/", 3)[3])).status for path in paths]
    assert sorted(good) == [200, 410, 410, 410]


async def test_a_secret_is_good_once(door: Door) -> None:
    """S10: who finds the letter later gets what a guess gets."""
    path = await invited(door)
    await door.log_in(email=INVITED)
    await door.submit(path)
    door.forget_cookies()
    other = await door.log_in()

    opened, sent, guessed = await door.get(path), await door.submit(path), await door.get(GUESSED)

    assert [opened.status, sent.status, guessed.status] == [410, 410, 410]
    assert "Cette invitation n’est plus valable" in opened.text
    assert opened.text == guessed.text
    assert await seen_by(door, other) == []


async def test_a_secret_is_good_for_a_week(door: Door, clock: FixedClock) -> None:
    """To the second."""
    path = await invited(door)
    clock.advance(timedelta(days=7) - timedelta(seconds=1))
    last = await door.get(path)
    clock.advance(timedelta(seconds=1))
    account_id = await door.log_in(email=INVITED)

    answers = [await door.get(path), await door.submit(path)]

    assert last.status == 200
    assert [one.status for one in answers] == [410, 410]
    assert await seen_by(door, account_id) == []


async def test_of_two_who_accept_at_once_one_does(door: Door) -> None:
    """One statement reads and spends the secret."""
    path = await invited(door)
    secret = path.rpartition("/")[2]
    accounts = [await door.add_account(email=f"a{n}@exemple.test") for n in range(4)]

    async def accept(account_id: UUID) -> bool:
        async with door.portal() as portal:
            return await portal.accept_payer_invitation(secret, account_id, NOW) is not None

    assert sorted(await asyncio.gather(*map(accept, accounts))) == [False, False, False, True]
    assert await door.count("payer_invitation WHERE account_id IS NOT NULL") == 1


async def test_one_who_sends_the_form_twice_is_linked_once(door: Door) -> None:
    """Two clicks: one goes through, the other is told that it was used."""
    path = await invited(door)
    await door.log_in(email=INVITED)
    page = await door.get(path)

    answers = await asyncio.gather(*(door.send(page, path) for _ in range(2)))

    assert sorted(one.status for one in answers) == [303, 410]
    assert await door.count("link") == 1
    assert (await events(door)).count("link-added") == 1


async def test_guessing_secrets_is_slowed_down(door: Door) -> None:
    """S8: from one place, however random they are."""
    statuses = [(await door.get(GUESSED)).status for _ in range(21)]

    assert statuses == [410] * 20 + [429]


async def test_an_agent_sends_no_mailing(door: Door) -> None:
    """S8: twenty in a quarter of an hour, whatever the addresses; nothing is written after."""
    await be_agent(door)

    statuses = [(await invite(door, email=f"a{n}@exemple.test")).status for n in range(21)]

    assert statuses == [303] * 20 + [429]
    assert await door.count("payer_invitation") == 20
    assert (await kinds(door)).count("payer-invited") == 20


async def test_nobodys_mailbox_is_filled(door: Door) -> None:
    """S8: five letters to one address, whatever the invoice."""
    await be_agent(door)

    statuses = [(await invite(door)).status for _ in range(6)]

    assert statuses == [303] * 5 + [429]
    assert (await kinds(door)).count("payer-invited") == 5


async def test_a_forged_form_changes_nothing(door: Door) -> None:
    """ASVS 3.5.1: neither an invitation, nor its end, nor its acceptance."""
    await be_agent(door)
    await invite(door)
    path, action = await last_path(door, "payer-invited"), await cancellation(door)
    fields = {
        "numero": "2026-0001",
        "montant": "41,50",
        "email": "alex@exemple.test",
        "verifie": "oui",
    }

    answers = [await door.post(one, fields) for one in (INVITATIONS, action)]
    door.forget_cookies()
    await door.log_in()
    answers.append(await door.post(path, fields))

    assert [one.status for one in answers] == [403, 403, 403]
    assert await door.count("payer_invitation") == 1
    assert await door.count("payer_invitation WHERE ended_at IS NULL AND accepted_at IS NULL") == 1


async def test_the_payers_other_accounts_are_told(door: Door) -> None:
    """As for a code: a line and a letter, never who."""
    path = await invited(door)
    await door.log_in()
    await door.submit(f"/q/{token_of(1)}/rattacher")
    door.forget_cookies()
    await door.log_in(email=INVITED)

    await door.submit(path)

    told = [one for one in await letters(door) if one.details.get("account") == "other"]
    assert [(one.kind, one.email) for one in told] == [("link-added", EMAIL)]
    assert told[0].details["authority"] == "Ville de Saint-Aubin"
    assert INVITED not in str(told)
    assert (await events(door)).count("link-shared") == 1


async def test_who_sees_the_payer_already_keeps_the_link_they_had(door: Door) -> None:
    """The secret is used up, nothing else changes and nobody is told."""
    path = await invited(door)
    await door.log_in(email=INVITED)
    await door.submit(f"/q/{token_of(1)}/rattacher")
    before = await events(door)

    accepted = await door.submit(path)

    async with door.database.reading() as connection:
        links = await connection.fetch("SELECT evidence FROM link")
    assert accepted.location == ACCEPTED_AT
    assert [row["evidence"] for row in links] == ["paper_code"]
    assert await events(door) == before
    assert (await door.get(path)).status == 410


async def test_who_was_lent_the_payer_accepts_for_themselves(door: Door) -> None:
    """What a code does not do, the authority does: it says itself whose address it is."""
    await door.publish(an_invoice_of(1, email=EMAIL))
    _, delegate_id = await delegate(door)
    door.forget_cookies()
    await door.add_town()
    await door.log_in_agent()
    await invite(door)
    path = await last_path(door, "payer-invited")
    door.forget_cookies()
    await door.submit("/connexion", {"email": INVITED, "password": PASSWORD})

    accepted = await door.submit(path)

    door.clock.advance(timedelta(days=40))
    assert accepted.location == ACCEPTED_AT
    assert await seen_by(door, delegate_id) == ["2026-0001"]


async def test_a_payer_given_up_is_seen_again_by_accepting(door: Door) -> None:
    """As with a code: who proves it anew lifts their refusal; what ended stays in the history."""
    path = await invited(door)
    account_id = await door.log_in(email=INVITED)
    await door.submit(f"/q/{token_of(1)}/rattacher")
    async with door.portal() as portal:
        await portal.revoke(account_id, payer_id_of(an_invoice_of(1)), "owner", NOW)
    before = await seen_by(door, account_id)

    await door.submit(path)

    assert before == []
    assert await seen_by(door, account_id) == ["2026-0001"]
    assert await door.count("refusal") == 0
    assert await door.count("link") == 2


async def test_a_reference_that_was_made_up_shows_the_one_invoice(door: Door) -> None:
    """As with a code: a namesake next door has the same."""
    made_up = "PES-0123456789abcdef"
    path = await invited(
        door, an_invoice_of(1, reference=made_up), an_invoice_of(2, reference=made_up)
    )
    account_id = await door.log_in(email=INVITED)

    await door.submit(path)

    assert await seen_by(door, account_id) == ["2026-0001"]


@pytest.mark.parametrize(
    "changed",
    [an_invoice_of(1, version=2, reference="EAU-7"), an_invoice_of(1, version=2, name="J. Dupont")],
    ids=["another reference", "another person of that reference"],
)
async def test_an_invoice_that_names_somebody_else_by_now_links_nobody(
    door: Door, changed: InvoicePublished
) -> None:
    """The agent vouched for who it was; whoever it is now was never looked at."""
    path = await invited(door)
    await door.publish(changed)
    account_id = await door.log_in(email=INVITED)

    answers = [await door.get(path), await door.submit(path)]

    assert [one.status for one in answers] == [410, 410]
    assert await seen_by(door, account_id) == []


async def test_an_invoice_that_was_withdrawn_since_links_nobody(door: Door) -> None:
    """What the agent looked at does not stand any more."""
    path = await invited(door)
    await withdraw(door)
    await door.log_in(email=INVITED)

    assert (await door.submit(path)).status == 410
    assert await door.count("link") == 0


async def test_a_new_version_for_the_same_payer_is_still_theirs(door: Door) -> None:
    """A sum was corrected: nobody has to be invited again."""
    path = await invited(door)
    await door.publish(an_invoice_of(1, version=2, amount_cents=4000))
    account_id = await door.log_in(email=INVITED)

    await door.submit(path)

    assert await seen_by(door, account_id) == ["2026-0001"]


async def test_what_ended_a_year_ago_is_forgotten(door: Door, clock: FixedClock) -> None:
    """S24: a job does it; who vouched for a link is known as long as the link stands."""
    path = await invited(door)
    account_id = await door.log_in(email=INVITED)
    await door.submit(path)
    door.forget_cookies()
    clock.advance(timedelta(seconds=30))
    await door.log_in_agent()
    await invite(door, email="alex@exemple.test")
    counts = []

    for days in (365, 8):
        clock.advance(timedelta(days=days))
        async with door.portal() as portal:
            await portal.tidy_all(clock.now())
        counts.append(await door.count("payer_invitation"))
    async with door.portal() as portal:
        await portal.revoke(account_id, payer_id_of(an_invoice_of(1)), "owner", clock.now())
        await portal.tidy_all(clock.now())
    counts.append(await door.count("payer_invitation"))

    assert counts == [2, 1, 0]


async def test_what_agents_and_billers_wrote_is_shown_as_text(door: Door) -> None:
    """S22: a number comes from a biller, a login from a file."""
    await be_agent(door)
    await invite(door)
    async with door.database.transaction() as transaction:
        await transaction.connection.execute(
            "UPDATE payer_invitation SET number = '<b>x</b>', agent_login = '<i>y</i>'"
        )

    page = await door.get(INVITATIONS)

    assert b"<b>x" not in page.content
    assert b"<i>y" not in page.content
    assert "<b>x</b>" in page.text


async def test_the_agents_pages_lead_there(door: Door) -> None:
    """From the figures, in one click."""
    await be_agent(door)

    page = await door.get("/regie")

    assert page.elements(f"//nav//a[@href='{INVITATIONS}']") != []
