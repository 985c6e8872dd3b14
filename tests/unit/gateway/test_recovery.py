"""A forgotten password: one answer for every address, a link for half an hour, everybody out."""

from datetime import timedelta

import pytest

from tests.unit.gateway.door import EMAIL, PASSWORD, Door, an_invoice
from tests.unit.gateway.letters import contacts, events, kinds, last_path, letters
from tests.unit.gateway.test_proofs import enters, is_verified

pytestmark = pytest.mark.enable_socket

CHOSEN = "trois hirondelles au balcon"
STRANGER = "inconnue@exemple.test"


async def ask(door: Door, email: str = EMAIL) -> str:
    """Say that the password is forgotten; return the page that the letter leads to."""
    await door.submit("/connexion/oubli", {"email": email})
    return await last_path(door, "reset-password")


async def test_a_forgotten_password_is_replaced_by_who_reads_the_mail(door: Door) -> None:
    """Then one logs in with the new one; a letter says that it changed."""
    await door.add_account()
    path = await ask(door)

    page = await door.send(await door.get(path), path, password=CHOSEN)

    assert (page.status, page.location) == (303, "/connexion?compte=motdepasse")
    assert "Connectez-vous avec le nouveau" in (await door.get(page.location)).text
    assert await kinds(door) == ["reset-password", "password-changed"]
    assert await events(door) == ["password-reset"]
    assert not await enters(door, PASSWORD, EMAIL)
    assert await enters(door, CHOSEN, EMAIL)


async def test_the_link_lives_half_an_hour_and_is_told_so(door: Door) -> None:
    """ASVS 6.4.2: the more a secret opens, the shorter it lives."""
    await door.add_account()

    path = await ask(door)

    [letter] = await letters(door)
    assert letter.expires_at == door.clock.now() + timedelta(minutes=30)
    page = await door.get(path)
    assert (page.status, page.headers["Referrer-Policy"]) == (200, "no-referrer")
    door.clock.advance(timedelta(minutes=30))
    assert (await door.get(path)).status == 410
    assert (await door.submit(path, {"password": CHOSEN})).status == 410
    assert await enters(door, PASSWORD, EMAIL)


async def test_an_unknown_address_is_answered_alike(door: Door) -> None:
    """S9: same status, same page, same cookies, and a letter in both cases."""
    await door.add_account()

    known = await door.submit("/connexion/oubli", {"email": EMAIL})
    unknown = await door.submit("/connexion/oubli", {"email": STRANGER})

    assert (known.status, known.location) == (303, "/connexion/oubli/envoye")
    assert (unknown.status, unknown.location, unknown.content) == (
        known.status,
        known.location,
        known.content,
    )
    assert known.cookies.keys() == unknown.cookies.keys()
    assert [(letter.kind, letter.email) for letter in await letters(door)] == [
        ("reset-password", EMAIL),
        ("no-account", STRANGER),
    ]


async def test_an_address_without_account_is_told_so_once_a_day(door: Door) -> None:
    """Its owner learns which address it was; nobody pesters them through us."""
    for _ in range(3):
        await door.submit("/connexion/oubli", {"email": STRANGER})
    door.clock.advance(timedelta(hours=23))
    await door.submit("/connexion/oubli", {"email": STRANGER})
    first_day = await kinds(door)
    door.clock.advance(timedelta(hours=1))
    await door.submit("/connexion/oubli", {"email": STRANGER})

    assert first_day == ["no-account"]
    assert await kinds(door) == ["no-account"] * 2
    assert {letter.link for letter in await letters(door)} == {
        "https://factures.exemple.test/compte/creer"
    }


async def test_nobody_keeps_the_address_of_who_has_no_account(door: Door) -> None:
    """That a letter left is remembered under a digest."""
    await door.submit("/connexion/oubli", {"email": STRANGER})

    async with door.database.reading() as connection:
        rows = await connection.fetch("SELECT bucket FROM throttle WHERE bucket LIKE 'once:%'")
    assert len(rows) == 1
    assert STRANGER not in rows[0]["bucket"]


@pytest.mark.parametrize("email", [EMAIL, STRANGER])
async def test_asking_again_and_again_is_slowed_down_by_name(door: Door, email: str) -> None:
    """S8: alike for known and unknown addresses, or the answer would tell which is which."""
    await door.add_account()

    statuses = [(await door.submit("/connexion/oubli", {"email": email})).status for _ in range(6)]

    assert statuses == [303] * 5 + [429]


async def test_asking_for_many_addresses_from_one_place_is_slowed_down(door: Door) -> None:
    """S8: nobody tries a list of addresses."""
    statuses = [
        (await door.submit("/connexion/oubli", {"email": f"a{n}@exemple.test"})).status
        for n in range(21)
    ]

    assert statuses == [303] * 20 + [429]


async def test_what_is_no_address_is_said_beside_its_field(door: Door) -> None:
    """And nothing is sent or counted."""
    page = await door.submit("/connexion/oubli", {"email": "camille"})

    assert page.status == 422
    assert "adresse électronique complète" in page.text
    assert await kinds(door) == []


async def test_a_link_serves_once_and_the_others_of_the_account_end_with_it(door: Door) -> None:
    """ASVS 6.4.2: a letter that somebody finds later opens nothing."""
    await door.add_account()
    first, second = await ask(door), await ask(door)
    await door.submit(second, {"password": CHOSEN})

    again = await door.submit(second, {"password": "quatre autres mots du jardin"})
    older = await door.submit(first, {"password": "quatre autres mots du jardin"})

    assert (again.status, older.status) == (410, 410)
    assert await enters(door, CHOSEN, EMAIL)


async def test_a_new_password_ends_every_session(door: Door) -> None:
    """Whoever was in with the old one is out."""
    await door.log_in()
    session = door.cookie("session")
    path = await ask(door)
    door.forget_cookies()

    await door.submit(path, {"password": CHOSEN})

    assert await door.count("session") == 0
    door.set_cookie("session", session)
    assert (await door.get("/compte")).status == 303


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("court", "au moins 12 caractères"),
        ("motdepasse123", "parmi les plus courants"),
        (EMAIL, "ne peut pas être votre adresse"),
    ],
)
async def test_a_password_that_cannot_be_is_refused_and_the_link_stays_good(
    door: Door, password: str, words: str
) -> None:
    """Who mistypes does not have to ask for another letter."""
    await door.add_account()
    path = await ask(door)

    page = await door.submit(path, {"password": password})

    assert page.status == 422
    assert words in page.text
    assert password not in page.content.decode() or password == EMAIL
    assert await enters(door, PASSWORD, EMAIL)
    assert (await door.submit(path, {"password": CHOSEN})).status == 303


async def test_the_owner_of_an_address_takes_it_from_who_only_claimed_it(door: Door) -> None:
    """The stranger's account is deleted with all that it held; the letter proves the owner's."""
    await door.publish(an_invoice())
    await door.submit("/compte/creer", {"email": EMAIL, "password": "un tilleul sous la pluie"})
    async with door.portal() as portal:
        claimed = await portal.find_account(EMAIL)

    path = await ask(door)
    await door.submit(path, {"password": CHOSEN})

    async with door.portal() as portal:
        account = await portal.find_account(EMAIL)
    assert claimed is not None
    assert account is not None
    assert account.account_id != claimed.account_id
    assert await is_verified(door, EMAIL)
    assert await contacts(door) == [(None, "fr"), (EMAIL, "fr")]
    assert not await enters(door, "un tilleul sous la pluie", EMAIL)
    assert await enters(door, CHOSEN, EMAIL)
    assert "2026-0042" in (await door.get("/factures")).text


async def test_a_reset_leaves_the_second_factor_where_it_is(door: Door) -> None:
    """ASVS 6.4.3: a mailbox alone does not open what is protected by two things."""
    account_id = await door.add_account()
    async with door.database.transaction() as transaction:
        await transaction.connection.execute(
            "INSERT INTO factor (factor_id, account_id, kind, label, sealed_secret, created_at)"
            " VALUES (gen_random_uuid(), $1, 'totp', 'Téléphone', 'sealed'::bytea, now())",
            account_id,
        )
    path = await ask(door)
    await door.submit(path, {"password": CHOSEN})

    page = await door.submit("/connexion", {"email": EMAIL, "password": CHOSEN})

    assert (page.status, page.location) == (303, "/connexion/verification")
    assert await door.count("factor") == 1
    assert await door.count("session") == 0


async def test_a_reset_ends_a_login_that_waits_for_its_second_factor(door: Door) -> None:
    """The old password, given a moment before, leads nowhere any more."""
    account_id = await door.add_account()
    async with door.database.transaction() as transaction:
        await transaction.connection.execute(
            "INSERT INTO factor (factor_id, account_id, kind, label, sealed_secret, created_at)"
            " VALUES (gen_random_uuid(), $1, 'totp', 'Téléphone', 'sealed'::bytea, now())",
            account_id,
        )
    await door.submit("/connexion", {"email": EMAIL, "password": PASSWORD})
    waiting = await door.count("pending_login")
    path = await ask(door)

    await door.submit(path, {"password": CHOSEN})

    assert waiting == 1
    assert await door.count("pending_login") == 0


async def test_a_secret_for_one_end_is_worth_nothing_for_another(door: Door) -> None:
    """A letter to confirm an address does not replace a password, nor the other way round."""
    await door.submit("/compte/creer", {"email": STRANGER, "password": "un tilleul sous la pluie"})
    confirm = (await last_path(door, "confirm-address")).rpartition("/")[2]
    await door.add_account()
    reset = (await ask(door)).rpartition("/")[2]

    as_reset = await door.submit(f"/connexion/oubli/{confirm}", {"password": CHOSEN})
    as_proof = await door.submit(f"/compte/confirmer/{reset}", {"password": PASSWORD})
    as_undo = await door.submit(f"/compte/adresse/retablir/{reset}", {"password": CHOSEN})

    assert [page.status for page in (as_reset, as_proof, as_undo)] == [410] * 3
    assert await enters(door, PASSWORD, EMAIL)


async def test_a_reset_needs_a_form_of_ours(door: Door) -> None:
    """S5."""
    await door.add_account()
    path = await ask(door)

    page = await door.post(path, {"password": CHOSEN})

    assert page.status == 403
    assert await enters(door, PASSWORD, EMAIL)
