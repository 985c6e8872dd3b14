"""Proving an address: by who reads its mail and asked for it; once, in time, for no stranger."""

import asyncio
from datetime import timedelta

import pytest

from tests.unit.gateway.door import EMAIL, PASSWORD, Door, an_invoice
from tests.unit.gateway.letters import contacts, events, kinds, last_path, letters

pytestmark = pytest.mark.enable_socket

NEW = "nouvelle@exemple.test"
CHOSEN = "un tilleul sous la pluie"
OTHER = "trois hirondelles au balcon"
SIGN_UP = {"email": NEW, "password": CHOSEN}


async def sign_up(door: Door, password: str = CHOSEN) -> str:
    """Open an account and return the page that the letter leads to."""
    await door.submit("/compte/creer", {"email": NEW, "password": password})
    return await last_path(door, "confirm-address")


async def is_verified(door: Door, email: str = NEW) -> bool:
    async with door.portal() as portal:
        account = await portal.find_account(email)
    return account is not None and account.verified_at is not None


async def enters(door: Door, password: str, email: str = NEW) -> bool:
    """Tell whether a password opens the account, in a browser that nobody knows."""
    door.forget_cookies()
    page = await door.submit("/connexion", {"email": email, "password": password})
    return page.status == 303


async def test_opening_an_account_sends_a_letter_that_ends_after_a_day(door: Door) -> None:
    """The secret is 256 random bits, in the letter alone: the table holds its digest."""
    path = await sign_up(door)

    [letter] = await letters(door)
    assert (letter.kind, letter.email, letter.language) == ("confirm-address", NEW, "fr")
    assert letter.expires_at == door.clock.now() + timedelta(hours=24)
    secret = path.removeprefix("/compte/confirmer/")
    assert len(secret) == 43
    async with door.database.reading() as connection:
        [kept] = await connection.fetch("SELECT * FROM proof")
    assert secret not in str(dict(kept))
    assert await door.count("session") == 0


async def test_looking_at_the_link_confirms_nothing(door: Door) -> None:
    """Mail scanners open links: a button does it."""
    path = await sign_up(door)

    page = await door.get(path)

    assert page.status == 200
    assert NEW in page.text
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["X-Robots-Tag"] == "noindex, nofollow"
    assert not await is_verified(door)
    assert await contacts(door) == []


async def test_the_browser_that_asked_confirms_with_one_button(door: Door) -> None:
    """The address is proved, notification knows it, the invoices sent to it are there."""
    await door.publish(an_invoice(email=NEW))
    path = await sign_up(door)

    page = await door.send(await door.get(path), path)

    assert (page.status, page.location) == (303, "/compte?adresse=confirmee")
    assert "Votre adresse est confirmée" in (await door.get(page.location)).text
    assert "2026-0042" in (await door.get("/factures")).text
    assert await contacts(door) == [(NEW, "fr")]
    assert "address-confirmed" in await events(door)


async def test_before_the_address_is_proved_no_invoice_is_shown(door: Door) -> None:
    """Whoever types an address does not see what is sent to it."""
    await door.publish(an_invoice(email=NEW))
    await sign_up(door)

    assert await enters(door, CHOSEN)

    assert "2026-0042" not in (await door.get("/factures")).text
    assert "pas encore vérifiée" in (await door.get("/compte")).text


async def test_another_browser_must_know_the_password_that_was_chosen(door: Door) -> None:
    """The letter opens on the telephone; the account was asked for on the desk."""
    path = await sign_up(door)
    door.forget_cookies()

    wrong = await door.send(await door.get(path), path, password=OTHER)
    before = await is_verified(door)
    right = await door.send(await door.get(path), path, password=CHOSEN)

    assert wrong.status == 401
    assert "Ce n’est pas le mot de passe choisi" in wrong.text
    assert before is False
    assert (right.status, right.location) == (303, "/compte?adresse=confirmee")
    assert await is_verified(door)


async def test_the_owner_of_an_address_confirms_no_account_that_a_stranger_opened(
    door: Door,
) -> None:
    """The stranger knows the password and waits; the owner who clicks gives nothing away."""
    await door.publish(an_invoice(email=NEW))
    path = await sign_up(door)
    door.forget_cookies()

    page = await door.send(await door.get(path), path)

    assert page.status == 401
    assert not await is_verified(door)
    assert await contacts(door) == []


async def test_guessing_the_password_on_the_confirmation_is_slowed_down(door: Door) -> None:
    """S8: five in a quarter of an hour, as at the login."""
    path = await sign_up(door)
    door.forget_cookies()

    pages = [await door.submit(path, {"password": f"guess number {n}"}) for n in range(6)]

    assert [page.status for page in pages] == [401] * 5 + [429]
    assert not await is_verified(door)


async def test_the_owner_takes_an_address_over_by_signing_up_again(door: Door) -> None:
    """The stranger's password, sessions and invoices are gone: the account is another one."""
    await sign_up(door, OTHER)
    assert await enters(door, OTHER)
    strangers_session = door.cookie("session")
    async with door.portal() as portal:
        strangers = await portal.find_account(NEW)
    door.forget_cookies()

    path = await sign_up(door, CHOSEN)
    page = await door.send(await door.get(path), path)

    assert page.status == 303
    async with door.portal() as portal:
        owners = await portal.find_account(NEW)
    assert strangers is not None
    assert owners is not None
    assert owners.account_id != strangers.account_id
    assert await door.count("account") == 1
    assert not await enters(door, OTHER)
    assert await enters(door, CHOSEN)
    door.forget_cookies()
    door.set_cookie("session", strangers_session)
    assert (await door.get("/compte")).status == 303


async def test_the_strangers_link_is_worthless_once_the_owner_has_confirmed(door: Door) -> None:
    """Of two who signed up with one address, the first who proves it has it."""
    strangers = await sign_up(door, OTHER)
    owners = await sign_up(door, CHOSEN)
    await door.send(await door.get(owners), owners)

    page = await door.submit(strangers, {"password": OTHER})

    assert page.status == 410
    assert not await enters(door, OTHER)


@pytest.mark.parametrize("way", ["again", "late", "unknown"])
async def test_a_link_serves_once_and_for_a_day(door: Door, way: str) -> None:
    """ASVS 6.4.2, 6.6.2: the same answer to what was used, is too old, or never was."""
    path = await sign_up(door)
    if way == "again":
        await door.send(await door.get(path), path)
    elif way == "late":
        door.clock.advance(timedelta(hours=24))
    else:
        path = "/compte/confirmer/" + "A" * 43
    told = await contacts(door)

    looked, sent = await door.get(path), await door.submit(path, {"password": CHOSEN})

    assert (looked.status, sent.status) == (410, 410)
    assert await contacts(door) == told


async def test_a_confirmation_needs_a_form_of_ours(door: Door) -> None:
    """S5: another site cannot press the button, whatever link it knows."""
    path = await sign_up(door)

    page = await door.post(path, {"formulaire": "forged"})
    foreign = await door.submit(path, headers={"Origin": "https://evil.test"})

    assert (page.status, foreign.status) == (403, 403)
    assert not await is_verified(door)


async def test_confirming_opens_a_session_under_a_new_secret(door: Door) -> None:
    """S3: what somebody planted before is worth nothing after, and the old session has ended."""
    path = await sign_up(door)
    await door.submit("/connexion", SIGN_UP)
    before = door.cookie("session")

    await door.send(await door.get(path), path)

    assert door.cookie("session") not in ("", before)
    assert await door.count("session") == 1


async def test_the_letter_is_sent_again_from_the_account(door: Door) -> None:
    """Both letters work; the address is proved by the first that is used."""
    first = await sign_up(door)
    await door.submit("/connexion", SIGN_UP)

    page = await door.send(await door.get("/compte"), "/compte/confirmer")
    second = await last_path(door, "confirm-address")

    assert (page.status, page.location) == (303, "/compte?adresse=demandee")
    assert first != second
    assert (await door.send(await door.get(second), second)).status == 303
    assert await is_verified(door)
    assert (await door.get(first)).status == 410


async def test_sending_the_letter_again_is_slowed_down(door: Door) -> None:
    """Nobody fills a mailbox through us."""
    await sign_up(door)
    await door.submit("/connexion", SIGN_UP)

    statuses = [(await door.submit("/compte/confirmer")).status for _ in range(6)]

    assert statuses == [303] * 5 + [429]
    assert len(await kinds(door)) == 6


async def test_a_proved_address_gets_no_letter_to_prove_it(door: Door) -> None:
    """And who is not logged in asks for nothing."""
    nobody = await door.submit("/compte/confirmer")
    await door.log_in()
    await door.submit("/compte/confirmer")

    assert (nobody.status, nobody.location) == (303, "/connexion")
    assert await kinds(door) == []


async def test_signing_up_with_an_address_that_has_an_account_writes_to_its_owner(
    door: Door,
) -> None:
    """S9: the same page, the same cookies; only the owner learns it, once an hour."""
    await door.add_account()

    unknown = await door.submit("/compte/creer", SIGN_UP)
    known = await door.submit("/compte/creer", {"email": EMAIL.upper(), "password": CHOSEN})
    await door.submit("/compte/creer", {"email": EMAIL, "password": CHOSEN})
    door.clock.advance(timedelta(hours=1))
    await door.submit("/compte/creer", {"email": EMAIL, "password": CHOSEN})

    assert (known.status, known.location, known.content) == (
        unknown.status,
        unknown.location,
        unknown.content,
    )
    assert known.cookies.keys() == unknown.cookies.keys()
    assert await kinds(door) == ["confirm-address", "account-exists", "account-exists"]
    assert {letter.email for letter in (await letters(door))[1:]} == {EMAIL}
    assert await enters(door, PASSWORD, EMAIL)
    assert not await enters(door, CHOSEN, EMAIL)


async def test_signing_up_with_one_address_is_slowed_down_from_everywhere(door: Door) -> None:
    """The sixth letter in a quarter of an hour does not leave, known or not."""
    statuses = [(await door.submit("/compte/creer", SIGN_UP)).status for _ in range(6)]

    assert statuses == [303] * 5 + [429]
    assert await kinds(door) == ["confirm-address"] * 5


async def test_no_secret_is_logged(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    """S25: neither the link's secret nor the password, whatever happens."""
    caplog.set_level("DEBUG")
    path = await sign_up(door)
    await door.send(await door.get(path), path)
    await door.get(path)

    # aiohttp's own lines name addresses, and are silenced where logs are set up.
    records = [record for record in caplog.records if record.name != "aiohttp.access"]
    said = " ".join(record.getMessage() for record in records)

    assert path.rpartition("/")[2] not in said
    assert CHOSEN not in said


async def test_an_address_that_nobody_proved_is_forgotten_after_a_month(door: Door) -> None:
    """S24: whoever typed it did not come back; what is used, or proved, stays."""
    await sign_up(door)
    await door.add_account()
    claimed = await door.add_account(email="avec.papier@exemple.test", verified=False)
    async with door.database.transaction() as transaction:
        await transaction.connection.execute(
            "INSERT INTO link (link_id, account_id, payer_id, authority, payer_words, evidence,"
            " number, since) VALUES (gen_random_uuid(), $1, gen_random_uuid(), 'saint-aubin', '{}',"
            " 'paper_code', '2026-0042', now())",
            claimed,
        )
    door.clock.advance(timedelta(days=30))
    async with door.portal() as portal:
        await portal.tidy_accounts(door.clock.now())
    kept = await door.count("account")
    door.clock.advance(timedelta(seconds=1))
    async with door.portal() as portal:
        await portal.tidy_accounts(door.clock.now())

    assert kept == 3
    assert await door.count("account") == 2
    async with door.portal() as portal:
        assert await portal.find_account(NEW) is None
    assert await contacts(door) == [(None, "fr")]


async def test_an_address_is_not_forgotten_while_a_letters_link_waits(door: Door) -> None:
    """Who comes back after a month asks for another letter, and opens it the day after."""
    await sign_up(door)
    door.clock.advance(timedelta(days=30))
    path = await sign_up(door)
    door.clock.advance(timedelta(hours=1))
    async with door.portal() as portal:
        await portal.tidy_accounts(door.clock.now())

    page = await door.send(await door.get(path), path)

    assert (page.status, page.location) == (303, "/compte?adresse=confirmee")
    assert await is_verified(door)


async def test_of_two_who_bring_one_secret_at_once_one_is_let_in(door: Door) -> None:
    """Single use holds without luck: the statement that deletes the row decides."""
    path = await sign_up(door)

    pages = await asyncio.gather(*(door.submit(path) for _ in range(4)))

    assert sorted(page.status for page in pages) == [303, 410, 410, 410]
    assert await contacts(door) == [(NEW, "fr")]


async def test_of_many_who_sign_up_with_one_address_at_once_one_account_comes(door: Door) -> None:
    """Each gets the same answer and a letter; nothing fails."""
    pages = await asyncio.gather(*(door.submit("/compte/creer", SIGN_UP) for _ in range(4)))

    assert [page.status for page in pages] == [303] * 4
    assert await door.count("account") == 1
    assert await kinds(door) == ["confirm-address"] * 4
