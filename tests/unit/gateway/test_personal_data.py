"""Taking one's data away, leaving for good, and what happened in between (RGPD, 15, 17 and 20)."""

import io
import json
import zipfile
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from gateway.api.activity import SENTENCES
from gateway.ports import Facts
from tests.unit.gateway.door import EMAIL, INVOICE_ID, PASSWORD, Door, an_invoice
from tests.unit.gateway.letters import contacts, kinds, letters
from tests.unit.gateway.sources import kinds_noted
from tests.unit.gateway.test_profile import enter_without_password
from tests.unit.gateway.test_proofs import enters

pytestmark = pytest.mark.enable_socket

OTHER = "dominique@exemple.test"
ELSEWHERE = Facts(subscriber="203.0.113.7", browser="Firefox, Windows")
HOLDERS = """
SELECT relname::text AS name, attname::text AS holder
FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
WHERE contype = 'f' AND confrelid = 'account'::regclass
"""
ROWS = """
INSERT INTO factor (factor_id, account_id, kind, label, sealed_secret, created_at) VALUES
(gen_random_uuid(), $1, 'totp', 'Téléphone', 'a sealed secret', now());
INSERT INTO recovery_code (code_sha256, account_id) VALUES ('a digest', $1);
INSERT INTO pending_login (pending_sha256, account_id, method, following, created_at) VALUES ('a
digest', $1, 'password', '/', now());
INSERT INTO identity (issuer, subject, account_id, family_name, given_names, birthdate, gender,
birthplace, birthcountry, suggested_email, linked_at, told_at) VALUES
('https://fc.exemple.test', 'sub', $1, 'MARTIN', '{Camille}', '1980-01-01', 'female', '35238',
'99100', '', now(), now());
INSERT INTO france_connect_journey (state_sha256, browser_sha256, purpose, nonce, verifier,
following, account_id, started_at) VALUES ('a digest', 'another', 'link', 'a nonce', 'a
verifier', '/', $1, now());
INSERT INTO link (link_id, account_id, payer_id, authority, payer_words, evidence, number,
since) VALUES (gen_random_uuid(), $1, gen_random_uuid(), 'saint-aubin', '{}', 'paper_code',
'2026-0042', now());
INSERT INTO refusal (account_id, payer_id, since) VALUES ($1, gen_random_uuid(), now());
INSERT INTO delegation (delegation_id, owner_id, payer_ids, email, can_read, can_pay,
invited_at, ends_at, secret_expires_at) VALUES (gen_random_uuid(), $1, '{}', 'a@exemple.test',
true, true, now(), now(), now());
INSERT INTO payer_invitation (invitation_id, authority, invoice_id, payer_id, payer_words, number,
email, agent_login, invited_at, expires_at, account_id, accepted_at) VALUES (gen_random_uuid(),
'saint-aubin', gen_random_uuid(), gen_random_uuid(), '{}', '2026-0042', 'c@exemple.test',
'an agent', now(), now(), $1, now());
INSERT INTO choice (account_id, event, channel, wanted) VALUES ($1, 'invoice', 'email', false);
INSERT INTO paperless (payer_id, authority, reference, payer_words, chosen_by, chosen_at) VALUES
(gen_random_uuid(), 'saint-aubin', 'FAM-0042', '{camille}', $1, now());
INSERT INTO quiet_hours (account_id, quiet_from, quiet_until) VALUES ($1, '21:00', '08:00');
INSERT INTO proof (secret_sha256, purpose, account_id, email, password_hash, created_at,
expires_at) VALUES (gen_random_uuid()::text::bytea, 'change', $1, 'b@exemple.test', 'a hash',
now(), now());
"""
"""One row of an account in every table that the login leaves without one."""


async def fill(door: Door, account_id: UUID) -> None:
    """Give an account a row in every table that can hold one."""
    async with door.database.transaction() as transaction:
        for statement in ROWS.strip().removesuffix(";").split(";"):
            await transaction.connection.execute(statement, account_id)
    async with door.portal() as portal:
        await portal.note(account_id, "signed-in", ELSEWHERE, door.clock.now())


async def rows_of(door: Door, account_id: UUID) -> dict[str, int]:
    """Return how many rows each table has of an account, by table and column."""
    async with door.database.reading() as connection:
        return {
            f"{table['name']}.{table['holder']}": await connection.fetchval(
                f'SELECT count(*) FROM "{table["name"]}" WHERE "{table["holder"]}" = $1',
                account_id,
            )
            for table in await connection.fetch(HOLDERS)
        }


async def export(door: Door) -> dict[str, Any]:
    """Take the data away; return the files by name, read."""
    page = await door.send(await door.get("/compte/donnees"), "/compte/donnees/copie")
    assert page.status == 200
    assert page.headers["Content-Type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(page.content)) as archive:
        assert archive.testzip() is None
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    read_me = texts.pop("LISEZMOI.txt")
    assert "un fichier JSON par sujet" in read_me
    return {name: json.loads(text) for name, text in texts.items()}


async def test_everything_that_is_kept_can_be_taken_away(door: Door) -> None:
    """RGPD 15 and 20: profile, links with their evidence, sessions, invoices, payments, events."""
    await door.publish(an_invoice())
    account_id = await door.log_in()
    await fill(door, account_id)
    async with door.database.transaction() as transaction:
        await transaction.connection.execute(
            "INSERT INTO movement VALUES ('a fact', $1, gen_random_uuid(), 4150, 'card', now())",
            INVOICE_ID,
        )

    files = await export(door)

    [profile] = files["compte.json"]
    assert (profile["email"], profile["has_password"]) == (EMAIL, True)
    assert [line["number"] for line in files["factures.json"]] == ["2026-0042"]
    assert [line["amount_cents"] for line in files["paiements.json"]] == [4150]
    assert files["redevables.json"][0]["evidence"] == "paper_code"
    assert files["sessions.json"][0]["method"] == "password"
    assert files["preferences.json"][0]["wanted"] is False
    assert files["sans-papier.json"][0]["reference"] == "FAM-0042"
    assert files["identite-franceconnect.json"][0]["family_name"] == "MARTIN"
    assert {"signed-in", "data-exported"} <= {line["kind"] for line in files["activite.json"]}
    tables = {name.partition(".")[0] for name in await rows_of(door, account_id)}
    # Beside the tables that name the account: the account itself, its invoices, their payments.
    assert len(files) == len(tables) + 3


async def test_what_opens_something_is_not_in_the_copy(door: Door) -> None:
    """A copy that gets lost opens no account: no hash, digest, key or sealed secret."""
    account_id = await door.log_in()
    await fill(door, account_id)

    said = json.dumps(await export(door))

    for secret in ("hash of", "a hash", "a digest", "a sealed secret", "a nonce", "a verifier"):
        assert secret not in said
    assert "sha256" not in said
    assert door.cookie("session") not in said


async def test_the_copy_does_not_name_the_agent_who_vouched(door: Door) -> None:
    """RGPD 15-4: the invitation is the account's, the agent's name is the authority's to tell."""
    account_id = await door.log_in()
    await fill(door, account_id)

    files = await export(door)

    [invitation] = files["invitations-de-collectivites.json"]
    assert (invitation["number"], invitation["email"]) == ("2026-0042", "c@exemple.test")
    assert "an agent" not in json.dumps(files)


async def test_the_copy_holds_nothing_of_anybody_else(door: Door) -> None:
    """S1: whose the data are comes from the session alone."""
    other = await door.add_account(email=OTHER)
    await fill(door, other)
    await door.publish(an_invoice(email=OTHER))
    await door.log_in()

    files = await export(door)

    said = json.dumps(files)
    assert OTHER not in said
    assert str(other) not in said
    assert "2026-0042" not in said


async def test_the_copy_is_a_file_that_no_cache_keeps(door: Door) -> None:
    """It is named for its day, and comes from a form of ours alone."""
    await door.log_in()

    page = await door.submit("/compte/donnees/copie")
    forged = await door.post("/compte/donnees/copie", {})

    assert page.headers["Content-Disposition"] == 'attachment; filename="quittance-2026-11-24.zip"'
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert forged.status == 403


async def test_taking_copies_is_slowed_down(door: Door) -> None:
    """It is the dearest page there is."""
    await door.log_in()

    statuses = [(await door.submit("/compte/donnees/copie")).status for _ in range(6)]

    assert statuses == [200] * 5 + [429]


async def test_the_page_says_what_goes_and_what_stays(door: Door) -> None:
    """RGPD 17-3-b: the accounts are the authority's."""
    await door.log_in()

    page = await door.get("/compte/supprimer")

    assert "Ce qui est effacé" in page.text
    assert "RGPD, article 17, 3, b" in page.text


async def test_a_deleted_account_leaves_no_row_in_any_table(door: Door) -> None:
    """RGPD 17: notification forgets it, a letter says so, its browser is out."""
    await door.publish(an_invoice())
    account_id = await door.log_in()
    await fill(door, account_id)
    before = await rows_of(door, account_id)

    form = await door.get("/compte/supprimer")
    page = await door.send(form, "/compte/supprimer", current=PASSWORD, confirmation="oui")

    # Nobody is their own delegate; every other place had something of the account.
    assert {name for name, count in before.items() if count == 0} == {"delegation.delegate_id"}
    assert (page.status, page.location) == (303, "/compte/supprime")
    assert "Votre compte n’existe plus" in (await door.get(page.location)).text
    assert set((await rows_of(door, account_id)).values()) == {0}
    assert await door.count("account") == 0
    assert await contacts(door) == [(None, "fr")]
    assert [(letter.kind, letter.email) for letter in await letters(door)] == [
        ("account-closed", EMAIL)
    ]
    assert door.cookie("session") == ""
    assert not await enters(door, PASSWORD, EMAIL)


async def test_what_happened_stays_without_name_place_or_browser(door: Door) -> None:
    """ASVS 16.2: that it happened is kept for its time; who and where is not."""
    account_id = await door.log_in()
    await fill(door, account_id)
    await door.submit("/compte/supprimer", {"current": PASSWORD, "confirmation": "oui"})

    async with door.database.reading() as connection:
        rows = await connection.fetch("SELECT account_id, subscriber, browser FROM account_event")

    assert len(rows) >= 2
    assert {tuple(row) for row in rows} == {(None, "", "")}


async def test_invoices_and_payments_stay_with_the_authority(door: Door) -> None:
    """The paper still opens what is owed."""
    await door.publish(an_invoice())
    await door.log_in()

    await door.submit("/compte/supprimer", {"current": PASSWORD, "confirmation": "oui"})

    assert await door.count("invoice") == 1


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"current": PASSWORD}, 422),
        ({"current": PASSWORD, "confirmation": "non"}, 422),
        ({"current": "not that one", "confirmation": "oui"}, 401),
        ({"confirmation": "oui"}, 401),
    ],
)
async def test_an_account_is_deleted_by_its_owner_who_said_so_twice(
    door: Door, fields: dict[str, str], status: int
) -> None:
    """Nothing is erased by mistake, nor by who found a screen unlocked."""
    await door.log_in()

    page = await door.submit("/compte/supprimer", fields)

    assert page.status == status
    assert await door.count("account") == 1
    assert (await door.get("/compte")).status == 200
    assert await contacts(door) == []


async def test_deleting_one_account_leaves_the_others_as_they_are(door: Door) -> None:
    """S1: no number of an account is read from the form."""
    other = await door.add_account(email=OTHER)
    await fill(door, other)
    before = await rows_of(door, other)
    await door.log_in()

    fields = {"current": PASSWORD, "confirmation": "oui", "account_id": str(other)}
    await door.submit("/compte/supprimer", fields)

    assert await rows_of(door, other) == before
    assert await door.count("account") == 1


async def test_an_account_without_address_is_deleted_without_a_letter(door: Door) -> None:
    """Whoever came through FranceConnect a moment ago needs no password."""
    await enter_without_password(door)

    page = await door.submit("/compte/supprimer", {"confirmation": "oui"})

    assert (page.status, page.location) == (303, "/compte/supprime")
    assert await door.count("account") == 0
    assert await kinds(door) == []


async def test_an_address_can_be_used_again_after_its_account_was_deleted(door: Door) -> None:
    """As if for the first time."""
    await door.log_in()
    await door.submit("/compte/supprimer", {"current": PASSWORD, "confirmation": "oui"})

    await door.submit("/compte/creer", {"email": EMAIL, "password": "un tilleul sous la pluie"})

    assert (await kinds(door))[-1] == "confirm-address"


async def test_its_owner_reads_what_happened_to_an_account(door: Door) -> None:
    """In words, newest first, with the moment, the browser and the place."""
    account_id = await door.log_in()
    door.clock.advance(timedelta(minutes=1))
    async with door.portal() as portal:
        await portal.note(account_id, "password-changed", ELSEWHERE, door.clock.now())

    page = await door.get("/compte/activite")

    lines = [
        " ".join(line.text_content().split()) for line in page.elements("//main//ul/li[strong]")
    ]
    assert lines[0].startswith("Mot de passe changé 24 novembre 2026")
    assert "Firefox, Windows" in lines[0]
    assert "203.0.113.7" in lines[0]
    assert len(lines) == 2


async def test_what_happened_to_another_account_is_not_shown(door: Door) -> None:
    """S1."""
    other = await door.add_account(email=OTHER)
    async with door.portal() as portal:
        await portal.note(other, "password-changed", ELSEWHERE, door.clock.now())
    await door.log_in()

    assert "Mot de passe changé" not in (await door.get("/compte/activite")).text


async def test_a_kind_that_the_page_does_not_know_is_still_told(door: Door) -> None:
    """A newer replica may have written it."""
    account_id = await door.log_in()
    async with door.portal() as portal:
        await portal.note(account_id, "<b>new</b>", ELSEWHERE, door.clock.now())

    page = await door.get("/compte/activite")

    assert "Autre changement" in page.text
    assert "<b>new" not in page.content.decode()


def test_every_kind_that_the_portal_notes_has_its_words() -> None:
    """And no words are there for what nobody notes."""
    assert kinds_noted() == set(SENTENCES)


async def test_what_happened_is_forgotten_after_a_year_and_ended_secrets_at_once(
    door: Door,
) -> None:
    """CNIL 2021-122: six months to a year; S24: a job does it."""
    account_id = await door.add_account()
    await door.submit("/connexion/oubli", {"email": EMAIL})
    async with door.portal() as portal:
        await portal.note(account_id, "signed-in", ELSEWHERE, door.clock.now())
    door.clock.advance(timedelta(days=365))
    async with door.portal() as portal:
        kept = await portal.tidy_accounts(door.clock.now())
        events = await portal.account_events(account_id)
    door.clock.advance(timedelta(seconds=1))
    async with door.portal() as portal:
        swept = await portal.tidy_accounts(door.clock.now())

    assert (kept, len(events), swept) == (1, 1, 1)
    assert await door.count("proof") == 0
    assert await door.count("account_event") == 0
