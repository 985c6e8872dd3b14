"""What people change about their account: by themselves alone, told to them, undone in a week."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from gateway.adapters.vault import Vault
from gateway.ports import Account, Owner
from gateway.ports.factors import NewPasskey
from gateway.ports.identity import Pivot, Told
from tests.unit.gateway.door import EMAIL, PASSWORD, SEALING_KEYS, TOTP_SECRET, Door, an_invoice
from tests.unit.gateway.letters import contacts, events, kinds, last_path, letters
from tests.unit.gateway.test_proofs import enters, is_verified

pytestmark = pytest.mark.enable_socket

NEW = "camille@autre.exemple.test"
OTHER = "dominique@exemple.test"
CHOSEN = "trois hirondelles au balcon"
A_THIEF = Pivot(
    family_name="VOLEUR",
    given_names=("Dominique",),
    birthdate="1962-08-24",
    gender="male",
    birthplace="75107",
    birthcountry="99100",
)


async def change_address(door: Door, email: str = NEW, password: str = PASSWORD) -> str:
    """Ask for another address; return the page that the letter leads to."""
    page = await door.submit("/compte/adresse", {"email": email, "current": password})
    assert (page.status, page.location) == (303, "/compte?adresse=demandee"), page.text
    return await last_path(door, "confirm-address")


async def give_application(door: Door, account_id: UUID, label: str = "Application") -> None:
    """Give an account a second factor, whose codes are `door.totp_code()`."""
    sealed = Vault(SEALING_KEYS).seal(TOTP_SECRET.encode())
    async with door.portal() as portal:
        await portal.add_totp(Owner(account_id=account_id), label, sealed, 0, door.clock.now())


async def enter_without_password(door: Door) -> UUID:
    """Open an account as FranceConnect does, with neither address nor password, and enter it."""
    account_id, secret = uuid4(), "a secret of a session that a test opened"
    async with door.portal() as portal:
        account = Account(account_id=account_id, email=None, password_hash=None, verified_at=None)
        await portal.add_account(account, door.clock.now())
        await portal.open_session(
            secret, door.clock.now(), account_id=account_id, method="franceconnect"
        )
    door.set_cookie("session", secret)
    return account_id


async def test_changing_the_password_asks_for_the_one_in_use(door: Door) -> None:
    """ASVS 6.2.3: who found a screen unlocked changes nothing."""
    await door.log_in()

    page = await door.submit("/compte/mot-de-passe", {"current": CHOSEN, "password": CHOSEN})

    assert page.status == 401
    assert "Ce n’est pas le mot de passe de ce compte" in page.text
    assert await kinds(door) == []
    assert await enters(door, PASSWORD, EMAIL)


async def test_changing_the_password_ends_the_other_sessions_and_renews_this_one(
    door: Door,
) -> None:
    """ASVS 7.4.3, 7.2.4: and its owner gets a letter."""
    await door.log_in()
    elsewhere = door.cookie("session")
    door.forget_cookies()
    await door.submit("/connexion", {"email": EMAIL, "password": PASSWORD})
    here = door.cookie("session")

    form = await door.get("/compte/mot-de-passe")
    page = await door.send(form, "/compte/mot-de-passe", current=PASSWORD, password=CHOSEN)

    assert (page.status, page.location) == (303, "/compte?profil=motdepasse")
    assert "Les autres appareils sont déconnectés" in (await door.get(page.location)).text
    assert door.cookie("session") not in ("", here, elsewhere)
    assert await door.count("session") == 1
    assert (await kinds(door))[-1] == "password-changed"
    assert await enters(door, CHOSEN, EMAIL)


async def test_changing_the_password_ends_logins_half_made(door: Door) -> None:
    """Who knew the old password has not logged in with it, whatever they prove later."""
    account_id = await door.log_in()
    await give_application(door, account_id)
    owners = door.cookie("session")
    door.forget_cookies()
    await door.submit("/connexion", {"email": EMAIL, "password": PASSWORD})
    thiefs = door.cookie("pending")
    door.forget_cookies()
    door.set_cookie("session", owners)
    await door.submit("/compte/mot-de-passe", {"current": PASSWORD, "password": CHOSEN})
    door.forget_cookies()
    door.set_cookie("pending", thiefs)

    page = await door.submit("/connexion/verification", {"moyen": "totp", "code": door.totp_code()})

    assert thiefs
    assert (page.status, page.location) == (303, "/connexion")
    assert await door.count("session") == 1


async def test_changing_the_password_makes_pending_links_worthless(door: Door) -> None:
    """A letter that a thief had sent to themselves opens nothing."""
    await door.log_in()
    await door.submit("/connexion/oubli", {"email": EMAIL})
    reset = await last_path(door, "reset-password")
    change = await change_address(door)

    await door.submit("/compte/mot-de-passe", {"current": PASSWORD, "password": CHOSEN})

    assert (await door.get(reset)).status == 410
    assert (await door.get(change)).status == 410


@pytest.mark.parametrize("page", ["/compte/mot-de-passe", "/compte/adresse", "/compte/supprimer"])
async def test_guessing_the_password_in_use_is_slowed_down(door: Door, page: str) -> None:
    """S8: a stolen session does not become a guessing machine."""
    await door.log_in()
    wrong = {"current": "no", "password": CHOSEN, "email": NEW, "confirmation": "oui"}

    statuses = [(await door.submit(page, wrong)).status for _ in range(6)]

    assert statuses == [401] * 5 + [429]
    assert await door.count("account") == 1


@pytest.mark.parametrize(
    "page",
    [
        "/compte",
        "/compte/mot-de-passe",
        "/compte/adresse",
        "/compte/donnees",
        "/compte/activite",
        "/compte/supprimer",
    ],
)
async def test_pages_of_the_account_are_for_who_is_logged_in(door: Door, page: str) -> None:
    """S1: to the login, and back."""
    asked = await door.get(page)

    assert (asked.status, asked.location) == (303, f"/connexion?suite={page}")


@pytest.mark.parametrize(
    "page",
    [
        "/compte",
        "/compte/mot-de-passe",
        "/compte/adresse",
        "/compte/adresse/renoncer",
        "/compte/confirmer",
        "/compte/donnees/copie",
        "/compte/supprimer",
    ],
)
async def test_forms_of_the_account_need_a_seal_and_a_session(door: Door, page: str) -> None:
    """S5: nothing changes for another site, nor for nobody."""
    nobody = await door.submit(page, {"current": PASSWORD})
    await door.log_in()
    fields = {"current": PASSWORD, "password": CHOSEN, "email": NEW, "confirmation": "oui"}
    forged = await door.post(page, fields)

    assert (nobody.status, nobody.location) == (303, "/connexion")
    assert forged.status == 403
    assert await door.count("account") == 1
    assert await kinds(door) == []


async def test_another_address_counts_once_it_is_confirmed(door: Door) -> None:
    """Until then the old one gets the invoices; then the old one is told, and may undo."""
    await door.publish(an_invoice(email=NEW))
    await door.log_in()
    path = await change_address(door)
    before = await door.get("/compte")

    page = await door.send(await door.get(path), path)

    assert NEW in before.text
    assert "à confirmer" in before.text
    assert (page.status, page.location) == (303, "/compte?adresse=confirmee")
    assert "2026-0042" in (await door.get("/factures")).text
    assert await contacts(door) == [(NEW, "fr")]
    told = [(letter.kind, letter.email) for letter in await letters(door)]
    assert told == [("confirm-address", NEW), ("address-changed", EMAIL)]
    last = (await letters(door))[-1]
    assert last.details["new_address"] == "c•••@autre.exemple.test"
    assert last.expires_at == door.clock.now() + timedelta(days=7)
    assert await enters(door, PASSWORD, NEW)
    assert not await enters(door, PASSWORD, EMAIL)


async def test_changing_the_address_asks_for_the_password(door: Door) -> None:
    """ASVS 6.2.3, 7.5.1: nothing is sent without it."""
    await door.log_in()

    page = await door.submit("/compte/adresse", {"email": NEW, "current": "not that one"})

    assert page.status == 401
    assert NEW in page.content.decode()
    assert await kinds(door) == []
    assert await door.count("proof") == 0


async def test_nobody_else_confirms_a_change_of_address(door: Door) -> None:
    """A stranger asks for my address; I click, and their account does not get my invoices."""
    await door.log_in(email=OTHER)
    path = await change_address(door, EMAIL)
    door.forget_cookies()
    await door.publish(an_invoice())

    looked = await door.get(path)
    page = await door.submit(path, {"password": "what I think it is"})

    assert "donnez aussi le mot de passe choisi" in looked.text
    assert page.status == 401
    assert not await is_verified(door, EMAIL)
    assert await contacts(door) == []


async def test_asking_for_the_address_of_another_account_is_answered_alike(door: Door) -> None:
    """S9: that account's owner is told; nothing changes for either, nor on the account's page."""
    await door.add_account(email=OTHER)
    await door.log_in()

    page = await door.submit("/compte/adresse", {"email": OTHER, "current": PASSWORD})
    pending = await door.get("/compte")
    await change_address(door)
    free = await door.get("/compte")

    assert (page.status, page.location) == (303, "/compte?adresse=demandee")
    assert [(letter.kind, letter.email) for letter in await letters(door)] == [
        ("account-exists", OTHER),
        ("confirm-address", NEW),
    ]
    assert pending.text == free.text.replace(NEW, OTHER)
    assert OTHER in pending.text


async def test_asking_for_one_address_over_and_over_fills_no_mailbox(door: Door) -> None:
    """Its owner is told once an hour, from whichever page it is asked for."""
    await door.add_account(email=OTHER)
    await door.log_in()
    for _ in range(2):
        await door.submit("/compte/adresse", {"email": OTHER, "current": PASSWORD})
    await door.submit("/compte/creer", {"email": OTHER, "password": CHOSEN})
    told = await kinds(door)
    door.clock.advance(timedelta(hours=1))

    await door.submit("/compte/creer", {"email": OTHER, "password": CHOSEN})

    assert told == ["account-exists"]
    assert await kinds(door) == ["account-exists", "account-exists"]


async def test_an_address_that_was_taken_meanwhile_is_not_given_twice(door: Door) -> None:
    """Of two accounts that ask for one address the first that confirms has it; the secret stays."""
    await door.log_in()
    path = await change_address(door)
    async with door.portal() as portal:
        other = Account(
            account_id=uuid4(), email=NEW, password_hash="x", verified_at=door.clock.now()
        )
        await portal.add_account(other, door.clock.now())

    page = await door.send(await door.get(path), path)

    assert page.status == 409
    assert "déjà celle d’un autre compte" in page.text
    assert EMAIL in (await door.get("/compte")).text
    assert await contacts(door) == []


async def test_an_account_that_only_claims_an_address_does_not_keep_it(door: Door) -> None:
    """It never read its mail: it is deleted, and its contact with it."""
    await door.add_account(email=NEW, verified=False)
    await door.log_in()
    path = await change_address(door)

    await door.send(await door.get(path), path)

    assert await door.count("account") == 1
    assert await is_verified(door, NEW)
    assert await contacts(door) == [(None, "fr"), (NEW, "fr")]


async def test_one_account_leaves_the_pending_change_of_another_alone(door: Door) -> None:
    """S1: giving up, or asking again, touches one's own alone."""
    await door.log_in(email=OTHER)
    theirs = await change_address(door, "autre.adresse@exemple.test")
    door.forget_cookies()
    await door.log_in()
    await change_address(door)

    page = await door.send(await door.get("/compte"), "/compte/adresse/renoncer")

    assert page.status == 303
    assert "à confirmer" not in (await door.get("/compte")).text
    assert (await door.get(theirs)).status == 200
    assert await door.count("proof") == 1


async def test_asking_for_another_address_again_makes_the_first_letter_worthless(
    door: Door,
) -> None:
    """One change at a time."""
    await door.log_in()
    first = await change_address(door)

    await change_address(door, "encore.une@exemple.test")

    assert (await door.get(first)).status == 410


async def test_the_old_address_takes_the_change_back_for_a_week(door: Door) -> None:
    """Whoever changed it is out: no session, no password, no way back to their address."""
    await door.log_in()
    path = await change_address(door)
    await door.send(await door.get(path), path)
    undo = await last_path(door, "address-changed")
    door.clock.advance(timedelta(days=6, hours=23))
    thiefs = door.cookie("session")
    door.forget_cookies()

    page = await door.send(await door.get(undo), undo, password=CHOSEN)

    assert (page.status, page.location) == (303, "/connexion?compte=retabli")
    assert await contacts(door) == [(NEW, "fr"), (EMAIL, "fr")]
    assert "address-restored" in await events(door)
    assert not await enters(door, PASSWORD, NEW)
    assert not await enters(door, PASSWORD, EMAIL)
    assert await enters(door, CHOSEN, EMAIL)
    door.forget_cookies()
    door.set_cookie("session", thiefs)
    assert (await door.get("/compte")).status == 303
    assert (await door.get(undo)).status == 410


async def test_taking_the_change_back_ends_the_ways_in_that_were_added_since(door: Door) -> None:
    """Only the thief's address was told of them; what its owner had before stays."""
    account_id = await door.log_in()
    await give_application(door, account_id, label="du propriétaire")
    door.clock.advance(timedelta(minutes=1))
    path = await change_address(door)
    await door.send(await door.get(path), path)
    undo = await last_path(door, "address-changed")
    door.clock.advance(timedelta(minutes=1))
    thiefs = NewPasskey(credential_id=b"of a thief", public_key=b"x", sign_count=0)
    told = Told(subject="of-a-thief", pivot=A_THIEF, email="", sealed_token=b"")
    async with door.portal() as portal:
        owner, now = Owner(account_id=account_id), door.clock.now()
        assert await portal.add_passkey(owner, "du voleur", thiefs, now)
        await portal.set_recovery_codes(owner, ["a code"])
        assert await portal.keep_identity("https://fc.exemple.test", told, account_id, now)
    door.forget_cookies()

    page = await door.submit(undo, {"password": CHOSEN})

    assert page.status == 303
    async with door.portal() as portal:
        assert [factor.label for factor in await portal.factors(owner)] == ["du propriétaire"]
        assert await portal.recovery_codes_left(owner) == 1
        assert await portal.identity_of(account_id) is None


async def test_taking_the_change_back_leaves_no_code_without_a_factor(door: Door) -> None:
    """Its owner comes in with the new password alone."""
    account_id = await door.log_in()
    path = await change_address(door)
    await door.send(await door.get(path), path)
    undo = await last_path(door, "address-changed")
    door.clock.advance(timedelta(minutes=1))
    await give_application(door, account_id)
    async with door.portal() as portal:
        await portal.set_recovery_codes(Owner(account_id=account_id), ["a code"])
    door.forget_cookies()

    await door.submit(undo, {"password": CHOSEN})

    assert await door.count("recovery_code") == 0
    assert await enters(door, CHOSEN, EMAIL)
    assert door.cookie("session") != ""


async def test_both_addresses_are_told_when_the_change_is_taken_back(door: Door) -> None:
    """ASVS 6.3.7: the one that is given up gets no secret, and nothing of where it was done."""
    await door.log_in()
    path = await change_address(door)
    await door.send(await door.get(path), path)
    undo = await last_path(door, "address-changed")
    sent = len(await letters(door))
    door.forget_cookies()

    await door.submit(undo, {"password": CHOSEN})

    restored, given_up = (await letters(door))[sent:]
    assert (given_up.kind, given_up.email) == ("address-changed", NEW)
    assert (given_up.link, given_up.code, given_up.expires_at) == (None, None, None)
    assert given_up.details.keys() == {"new_address", "moment"}
    assert given_up.details["new_address"] == "c•••@exemple.test"
    assert (restored.kind, restored.email) == ("password-changed", EMAIL)


async def test_the_change_cannot_be_taken_back_after_a_week(door: Door) -> None:
    """A letter found later gives no account away."""
    await door.log_in()
    path = await change_address(door)
    await door.send(await door.get(path), path)
    undo = await last_path(door, "address-changed")
    door.clock.advance(timedelta(days=7))
    door.forget_cookies()

    page = await door.submit(undo, {"password": CHOSEN})

    assert page.status == 410
    assert await enters(door, PASSWORD, NEW)


async def test_a_thief_takes_nothing_back_after_the_owner_did(door: Door) -> None:
    """Mine to the thief's, then to a second one: my link ends the thief's, a reset ends none."""
    await door.log_in()
    path = await change_address(door)
    await door.send(await door.get(path), path)
    mine = await last_path(door, "address-changed")
    door.clock.advance(timedelta(minutes=1))
    path = await change_address(door, "voleur@exemple.test")
    await door.send(await door.get(path), path)
    thiefs = await last_path(door, "address-changed")
    await door.submit("/connexion/oubli", {"email": "voleur@exemple.test"})
    await door.submit(await last_path(door, "reset-password"), {"password": "du voleur le plan"})
    door.forget_cookies()

    page = await door.submit(mine, {"password": CHOSEN})

    assert page.status == 303
    assert (await door.submit(thiefs, {"password": "du voleur le plan"})).status == 410
    assert await enters(door, CHOSEN, EMAIL)


async def test_looking_at_the_link_that_takes_back_changes_nothing(door: Door) -> None:
    """Mail scanners open links; a password that cannot be leaves it good."""
    await door.log_in()
    path = await change_address(door)
    await door.send(await door.get(path), path)
    undo = await last_path(door, "address-changed")

    looked, weak = await door.get(undo), await door.submit(undo, {"password": "motdepasse123"})

    assert (looked.status, weak.status) == (200, 422)
    assert looked.headers["Referrer-Policy"] == "no-referrer"
    assert await is_verified(door, NEW)


async def test_the_name_is_for_its_owner_and_kept_as_text(door: Door) -> None:
    """It greets, and is no mark-up."""
    await door.log_in()
    form = await door.get("/compte")

    page = await door.send(form, "/compte", display_name="  Camille   <b>M.</b> ")

    assert (page.status, page.location) == (303, "/compte?profil=enregistre")
    shown = await door.get("/compte")
    assert "Bonjour Camille <b>M.</b>" in shown.text
    assert shown.elements("//h1/b") == []


@pytest.mark.parametrize("name", ["x" * 81, "Camille\u202eM."])
async def test_a_name_that_cannot_be_is_refused_beside_its_field(door: Door, name: str) -> None:
    """Nothing is kept."""
    await door.log_in()

    page = await door.submit("/compte", {"display_name": name, "language": "en"})

    assert page.status == 422
    assert "au plus 80 caractères" in page.text
    assert "Bonjour" not in (await door.get("/compte")).text
    assert await contacts(door) == []


async def test_the_language_is_kept_with_the_account_and_told(door: Door) -> None:
    """Letters speak it, and so do the pages of the next browser."""
    await door.log_in()

    await door.submit("/langue", {"langue": "en", "suite": "/compte"})
    door.forget_cookies()
    await door.submit("/connexion", {"email": EMAIL, "password": PASSWORD})
    page = await door.get("/compte")
    await door.submit("/compte", {"display_name": "", "language": "fr"})

    assert "My account" in page.text
    assert "Mon compte" in (await door.get("/compte")).text
    assert await contacts(door) == [(EMAIL, "en"), (EMAIL, "fr")]


async def test_a_language_that_is_not_ours_changes_nothing(door: Door) -> None:
    """S17: nothing that was sent is echoed or kept."""
    await door.log_in()

    await door.submit("/compte", {"display_name": "", "language": "xx"})

    assert await contacts(door) == []
    assert "Mon compte" in (await door.get("/compte")).text


async def test_an_account_without_password_adds_an_address_and_one(door: Door) -> None:
    """Opened through FranceConnect a moment ago: nothing more is asked."""
    await door.publish(an_invoice())
    account_id = await enter_without_password(door)

    path = await change_address(door, EMAIL, "")
    confirmed = await door.send(await door.get(path), path)
    chosen = await door.submit("/compte/mot-de-passe", {"password": CHOSEN})

    assert (confirmed.status, chosen.status) == (303, 303)
    assert await contacts(door) == [(EMAIL, "fr")]
    assert await kinds(door) == ["confirm-address", "password-changed"]
    assert await enters(door, CHOSEN, EMAIL)
    async with door.portal() as portal:
        account = await portal.find_account(EMAIL)
    assert account is not None
    assert account.account_id == account_id


@pytest.mark.parametrize("page", ["/compte/mot-de-passe", "/compte/adresse", "/compte/supprimer"])
async def test_an_account_without_password_proves_itself_again_first(door: Door, page: str) -> None:
    """ASVS 7.5.1: a session that was left open changes nothing."""
    await enter_without_password(door)
    door.clock.advance(timedelta(minutes=6))
    fields = {"password": CHOSEN, "email": NEW, "confirmation": "oui", "current": ""}

    asked, sent = await door.get(page), await door.submit(page, fields)

    expected = (303, f"/compte/securite/preuve?suite={page}")
    assert (asked.status, asked.location) == expected
    assert (sent.status, sent.location) == expected
    assert await door.count("account") == 1
    assert await door.count("proof") == 0


async def test_a_link_for_an_account_without_password_asks_to_log_in(door: Door) -> None:
    """Nobody else's browser confirms it, whatever is typed."""
    await enter_without_password(door)
    path = await change_address(door, EMAIL, "")
    door.forget_cookies()

    looked, sent = await door.get(path), await door.submit(path, {"password": ""})

    assert "Ce lien s’ouvre depuis le compte qui l’a demandé" in looked.text
    assert (sent.status, sent.location) == (303, f"/connexion?suite={path}")
    assert not await is_verified(door, EMAIL)


async def test_an_account_without_password_has_none_that_opens_it(door: Door) -> None:
    """Not the empty one either."""
    await enter_without_password(door)
    path = await change_address(door, EMAIL, "")
    await door.send(await door.get(path), path)
    door.forget_cookies()

    page = await door.submit("/connexion", {"email": EMAIL, "password": ""})

    assert page.status == 401
