"""Who only claims an address ends nothing that its owner asked for: their letters still work."""

import pytest

from tests.unit.gateway.door import EMAIL, PASSWORD, Door
from tests.unit.gateway.letters import contacts, events, last_path
from tests.unit.gateway.test_proofs import CHOSEN, NEW, OTHER, enters, is_verified, sign_up

pytestmark = pytest.mark.enable_socket

STRANGERS = "stranger@exemple.test"
WAYS = ["password", "deletion", "another address"]


async def claim(door: Door) -> str:
    """Open an account on somebody else's address, and stay in it; return its session."""
    await sign_up(door, OTHER)
    assert await enters(door, OTHER)
    session = door.cookie("session")
    door.forget_cookies()
    return session


async def ask_reset(door: Door) -> str:
    """Say that the password is forgotten; return the page that the letter leads to."""
    await door.submit("/connexion/oubli", {"email": NEW})
    return await last_path(door, "reset-password")


async def disturb(door: Door, session: str, way: str) -> None:
    """Do, as who claimed the address, what one may do with one's own account."""
    door.forget_cookies()
    door.set_cookie("session", session)
    if way == "password":
        changed = {"current": OTHER, "password": "du voleur le plan"}
        page = await door.submit("/compte/mot-de-passe", changed)
    elif way == "deletion":
        page = await door.submit("/compte/supprimer", {"current": OTHER, "confirmation": "oui"})
    else:
        await door.submit("/compte/adresse", {"email": STRANGERS, "current": OTHER})
        path = await last_path(door, "confirm-address")
        await door.send(await door.get(path), path)
        assert await is_verified(door, STRANGERS)
        # In an account that is proved by now, a new password ends all that is its own.
        changed = {"current": OTHER, "password": "du voleur le plan"}
        page = await door.submit("/compte/mot-de-passe", changed)
    assert page.status == 303, page.text
    door.forget_cookies()


@pytest.mark.parametrize("way", WAYS)
async def test_the_owners_sign_up_outlives_what_a_claim_does(door: Door, way: str) -> None:
    """Its letter opens the owner's own account, with the password that they chose."""
    session = await claim(door)
    owners = await sign_up(door, CHOSEN)
    await disturb(door, session, way)

    looked = await door.get(owners)
    page = await door.send(looked, owners, password=CHOSEN)

    assert looked.status == 200
    assert (page.status, page.location) == (303, "/compte?adresse=confirmee")
    assert await is_verified(door)
    assert (NEW, "fr") in await contacts(door)
    assert await enters(door, CHOSEN)
    assert not await enters(door, OTHER)
    assert not await enters(door, "du voleur le plan")
    assert (await door.get(owners)).status == 410


@pytest.mark.parametrize("way", WAYS)
async def test_the_owners_forgotten_password_outlives_what_a_claim_does(
    door: Door, way: str
) -> None:
    """Who reads the mail has the address, whatever became of the account that claimed it."""
    session = await claim(door)
    owners = await ask_reset(door)
    await disturb(door, session, way)

    page = await door.send(await door.get(owners), owners, password=CHOSEN)

    assert (page.status, page.location) == (303, "/connexion?compte=motdepasse")
    assert await is_verified(door)
    assert "password-reset" in await events(door)
    assert await enters(door, CHOSEN)
    assert not await enters(door, "du voleur le plan")


async def test_the_owner_of_a_freed_address_confirms_nothing_without_the_password(
    door: Door,
) -> None:
    """A stranger asked twice and deleted the claim: who reads the mail gives nothing away."""
    session = await claim(door)
    strangers = await sign_up(door, "encore un du voleur")
    await disturb(door, session, "deletion")

    page = await door.send(await door.get(strangers), strangers, password=CHOSEN)

    assert page.status == 401
    assert await door.count("account") == 0


@pytest.mark.parametrize("way", ["password", "deletion"])
async def test_a_claims_own_letters_end_with_its_password_and_with_itself(
    door: Door, way: str
) -> None:
    """What was asked with the earlier password is worth nothing any more, as ever."""
    first = await sign_up(door, OTHER)
    assert await enters(door, OTHER)
    session = door.cookie("session")
    await door.submit("/compte/confirmer")
    again = await last_path(door, "confirm-address")
    await door.submit("/compte/adresse", {"email": STRANGERS, "current": OTHER})
    change = await last_path(door, "confirm-address")
    await disturb(door, session, way)

    statuses = [(await door.submit(path, {"password": OTHER})).status for path in (first, again)]

    assert statuses == [410, 410]
    assert (await door.get(change)).status == 410
    assert not await is_verified(door)


async def test_an_owners_other_letters_end_once_the_address_is_proved(door: Door) -> None:
    """The first that is used decides; those that are found later open nothing."""
    await claim(door)
    reset, second, third = await ask_reset(door), await sign_up(door), await ask_reset(door)
    await door.submit(second, {"password": CHOSEN})

    statuses = [(await door.submit(path, {"password": OTHER})).status for path in (reset, third)]

    assert statuses == [410, 410]
    assert await enters(door, CHOSEN)


async def test_a_proved_accounts_letters_go_with_it(door: Door) -> None:
    """Its owner asked for them: none opens an account after it was deleted."""
    await door.log_in()
    await door.submit("/connexion/oubli", {"email": EMAIL})
    reset = await last_path(door, "reset-password")
    await door.submit("/compte/supprimer", {"current": PASSWORD, "confirmation": "oui"})

    page = await door.submit(reset, {"password": CHOSEN})

    assert page.status == 410
    assert await door.count("account") == 0
