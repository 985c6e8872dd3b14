"""Passkeys: made, used as a second factor, used alone; and every way in which one does not hold."""

import json
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.passkeys import Answer, RelyingParty
from gateway.ports import Owner, PasskeyFactor
from tests.unit.gateway.authenticator import Authenticator, from_text, to_text
from tests.unit.gateway.door import EMAIL, PASSWORD, Door, Page

NEW = "/compte/securite/cle"
SIGN_IN = "/connexion/cle"
VERIFICATION = "/connexion/verification"


def options_of(page: Page) -> tuple[str, str]:
    """Return what a page asks a browser's passkeys, and the ticket that goes with it."""
    form = page.element("//form[@data-passkey]")
    [ticket] = form.xpath(".//input[@name='ticket']/@value")
    return str(form.get("data-options")), str(ticket)


async def make(door: Door, key: Authenticator, name: str = "") -> Page:
    options, ticket = options_of(await door.get(NEW))
    return await door.submit(NEW, {"ticket": ticket, "reponse": key.make(options), "nom": name})


async def sign(door: Door, key: Authenticator, path: str = SIGN_IN, **fields: str) -> Page:
    options, ticket = options_of(await door.get(path))
    answer = {"moyen": "cle", "ticket": ticket, "reponse": key.sign(options)}
    return await door.submit(path, answer | fields)


@pytest.mark.enable_socket
async def test_a_passkey_is_made_and_opens_without_a_password(door: Door) -> None:
    """Two factors in one: who holds it was asked to prove who they are."""
    await door.log_in()
    key = Authenticator()
    made = await make(door, key, "Ma clé")
    listed = await door.get("/compte/securite")
    door.forget_cookies()

    page = await sign(door, key, suite="/compte")

    assert len(made.elements("//ol/li/code")) == 10
    assert "Ma clé" in listed.text
    assert (page.status, page.location) == (303, "/compte")
    assert "clé d’accès – ouverte le" in (await door.get("/compte/sessions")).text


@pytest.mark.enable_socket
async def test_a_passkey_is_the_second_factor_after_a_password(door: Door) -> None:
    """Then the page asks for one of this account's, and no other's."""
    await door.log_in()
    key = Authenticator()
    await make(door, key)
    door.forget_cookies()
    entered = await door.submit("/connexion", {"email": EMAIL, "password": PASSWORD})
    options, _ = options_of(await door.get(VERIFICATION))

    page = await sign(door, key, VERIFICATION)

    assert entered.location == VERIFICATION
    allowed = json.loads(options)["allowCredentials"]
    assert [from_text(one["id"]) for one in allowed] == [key.credential_id]
    assert json.loads(options)["userVerification"] == "required"
    assert (page.status, page.location) == (303, "/factures")


@pytest.mark.enable_socket
async def test_an_agent_comes_in_by_a_passkey(door: Door) -> None:
    """Made at the first login, and to the figures at once from then on."""
    await door.add_town(has_factor=False)
    await door.submit("/regie/connexion", {"login": "Regisseur", "password": PASSWORD})
    key = Authenticator()
    options, ticket = options_of(await door.get("/regie/activation/cle"))
    made = await door.submit(
        "/regie/activation/cle", {"ticket": ticket, "reponse": key.make(options)}
    )
    inside = await door.get("/regie")
    door.forget_cookies()

    page = await sign(door, key, suite="/factures")

    assert (made.status, inside.status) == (200, 200)
    assert (page.status, page.location) == (303, "/regie")


@pytest.mark.enable_socket
async def test_what_a_browser_is_asked_names_this_portal_and_wants_to_be_sure(door: Door) -> None:
    """The host and no other; found without a name; a finger, a face or a code each time."""
    account_id = await door.log_in()
    key = Authenticator()
    await make(door, key)

    asked = json.loads(options_of(await door.get(NEW))[0])

    assert asked["rp"]["id"] == "factures.exemple.test"
    assert asked["user"]["name"] == EMAIL
    assert str(account_id) not in json.dumps(asked)
    assert len(from_text(asked["user"]["id"])) == 32
    assert asked["authenticatorSelection"]["residentKey"] == "required"
    assert asked["authenticatorSelection"]["userVerification"] == "required"
    assert [from_text(one["id"]) for one in asked["excludeCredentials"]] == [key.credential_id]
    assert asked["attestation"] == "none"


def set_origin(key: Authenticator) -> None:
    key.origin = "https://factures.exemple.test.evil.test"


def set_party(key: Authenticator) -> None:
    key.relying_party = "evil.test"


def forget_finger(key: Authenticator) -> None:
    key.flags = 0x01


def stay_away(key: Authenticator) -> None:
    key.flags = 0x04


SPOILT = [set_origin, set_party, forget_finger, stay_away]


@pytest.mark.enable_socket
@pytest.mark.parametrize("spoil", SPOILT)
async def test_a_passkey_made_elsewhere_or_unseen_is_not_kept(
    door: Door, spoil: Callable[[Authenticator], None]
) -> None:
    """Another site's, another host's, without a finger, without anybody there."""
    await door.log_in()
    key = Authenticator()
    spoil(key)

    page = await make(door, key)

    assert page.status == 422
    assert await door.count("factor") == 0


@pytest.mark.enable_socket
@pytest.mark.parametrize("spoil", SPOILT)
async def test_a_passkey_used_elsewhere_or_unseen_opens_nothing(
    door: Door, spoil: Callable[[Authenticator], None]
) -> None:
    """Phishing: what was signed for another site is worth nothing here."""
    await door.log_in()
    key = Authenticator()
    await make(door, key)
    door.forget_cookies()
    spoil(key)

    page = await sign(door, key)

    assert page.status == 401
    assert "n’ouvre aucun compte ici" in page.text
    assert door.cookie("session") == ""


@pytest.mark.enable_socket
async def test_an_answer_opens_once(door: Door) -> None:
    """Also of a passkey that counts nothing: the challenge is spent."""
    await door.log_in()
    key = Authenticator()
    await make(door, key)
    door.forget_cookies()
    options, ticket = options_of(await door.get(SIGN_IN))
    key.sign_count = -1
    answer = {"ticket": ticket, "reponse": key.sign(options)}
    first = await door.submit(SIGN_IN, answer)
    session = door.cookie("session")
    await door.submit("/deconnexion")

    again = await door.submit(SIGN_IN, answer)

    assert (first.status, again.status) == (303, 401)
    assert door.cookie("session") in ("", session)
    assert (await door.get("/compte")).status == 303


@pytest.mark.enable_socket
async def test_a_ticket_is_good_for_its_browser_its_purpose_and_ten_minutes(door: Door) -> None:
    """What one page handed out, no other page takes back."""
    await door.log_in()
    key = Authenticator()
    await make(door, key)
    door.forget_cookies()
    options, ticket = options_of(await door.get(SIGN_IN))
    answer = {"moyen": "cle", "ticket": ticket, "reponse": key.sign(options)}

    door.forget_cookies()
    elsewhere = await door.submit(SIGN_IN, answer)
    await door.submit("/connexion", {"email": EMAIL, "password": PASSWORD})
    elsehow = await door.submit(VERIFICATION, answer)
    door.forget_cookies()
    options, ticket = options_of(await door.get(SIGN_IN))
    key.sign_count += 1
    late = {"ticket": ticket, "reponse": key.sign(options)}
    door.clock.advance(timedelta(minutes=11))
    too_late = await door.submit(SIGN_IN, late)

    assert [page.status for page in (elsewhere, elsehow, too_late)] == [401, 401, 401]


@pytest.mark.enable_socket
async def test_a_passkey_that_was_copied_is_noticed(door: Door) -> None:
    """WebAuthn 6.1.1: a count that went back tells of two."""
    await door.log_in()
    key = Authenticator()
    await make(door, key)
    key.sign_count = 7
    await sign(door, key)
    key.sign_count = 3

    page = await sign(door, key)

    assert page.status == 401


@pytest.mark.enable_socket
async def test_a_passkey_of_another_account_is_no_second_factor_of_this_one(door: Door) -> None:
    """Whoever knows a password and has a passkey of their own stays outside."""
    await door.log_in()
    await make(door, Authenticator())
    door.forget_cookies()
    await door.log_in(email="autre@exemple.test")
    own = Authenticator()
    await make(door, own)
    door.forget_cookies()
    await door.submit("/connexion", {"email": EMAIL, "password": PASSWORD})

    page = await sign(door, own, VERIFICATION)

    assert page.status == 401
    assert door.cookie("session") == ""


@pytest.mark.enable_socket
async def test_the_name_in_an_answer_is_the_owners(door: Door) -> None:
    """WebAuthn 7.2, step 6; and somebody must be named where nobody is known yet."""
    await door.log_in()
    key = Authenticator()
    await make(door, key)
    door.forget_cookies()
    handle = key.handle

    key.handle = b"somebody else"
    other = await sign(door, key)
    key.handle = b""
    nobody = await sign(door, key)
    key.handle = handle
    right = await sign(door, key)

    assert (other.status, nobody.status, right.status) == (401, 401, 303)


@pytest.mark.enable_socket
async def test_a_passkey_is_one_persons(door: Door) -> None:
    """The same one cannot be tied to a second account."""
    await door.log_in()
    key = Authenticator()
    await make(door, key)
    door.forget_cookies()
    await door.log_in(email="autre@exemple.test")

    page = await make(door, key)

    assert page.status == 409
    assert await door.count("factor") == 1


@pytest.mark.enable_socket
async def test_the_only_way_in_is_not_taken_away(door: Door) -> None:
    """An account without a password keeps its last passkey."""
    account_id = await door.log_in()
    await make(door, Authenticator())
    async with door.database.transaction() as transaction:
        await transaction.connection.execute("UPDATE account SET password_hash = NULL")
    page = await door.get("/compte/securite")
    factor_id = page.fields("/compte/securite/retrait")["factor_id"]

    refused = await door.submit("/compte/securite/retrait", {"factor_id": factor_id})

    assert refused.status == 409
    async with door.portal() as portal:
        assert len(await portal.factors(Owner(account_id=account_id))) == 1
        assert await portal.recovery_codes_left(Owner(account_id=account_id)) == 10


@pytest.mark.enable_socket
@pytest.mark.parametrize(
    "answer", ["", "{}", "[]", "null", "{", "[" * 9000, "x" * 60_000, "\\ud800"]
)
async def test_an_answer_that_is_none_breaks_nothing(door: Door, answer: str) -> None:
    """Refused, as a page."""
    await door.log_in()
    _, ticket = options_of(await door.get(NEW))

    made = await door.submit(NEW, {"ticket": ticket, "reponse": answer})
    _, ticket = options_of(await door.get(SIGN_IN))
    signed = await door.submit(SIGN_IN, {"ticket": ticket, "reponse": answer})

    assert (made.status, signed.status) == (422, 401)


@pytest.mark.enable_socket
async def test_trying_passkeys_is_slowed_down(door: Door) -> None:
    """Twenty from one place."""
    statuses = [(await door.submit(SIGN_IN, {})).status for _ in range(21)]

    assert statuses == [401] * 20 + [429]


@pytest.mark.parametrize(
    ("address", "is_possible"),
    [
        ("https://factures.exemple.test", True),
        ("http://localhost:8080", True),
        ("http://factures.exemple.test", False),
        ("http://127.0.0.1:8080", False),
        ("https://192.0.2.1", False),
        ("https://[2001:db8::1]", False),
    ],
)
def test_passkeys_are_offered_where_browsers_make_them(address: str, is_possible: object) -> None:
    """WebAuthn 5.1.3: a secure context, and a domain that is a name."""
    assert RelyingParty(address).is_possible is is_possible


PARTY = RelyingParty("https://factures.exemple.test")
CHALLENGE = bytes(32)
OWNER = Owner(login="regisseur")


def a_passkey(key: Authenticator) -> PasskeyFactor:
    made = PARTY.made(key.make(PARTY.ask_new(CHALLENGE, OWNER, "a", ())), CHALLENGE)
    assert made is not None
    return PasskeyFactor(
        factor_id=UUID(int=1),
        owner=OWNER,
        credential_id=made.credential_id,
        public_key=made.public_key,
        sign_count=0,
    )


KEY = Authenticator()
PASSKEY = a_passkey(KEY)
SIGNED = json.loads(KEY.sign(PARTY.ask(CHALLENGE, ())))
MADE = json.loads(KEY.make(PARTY.ask_new(CHALLENGE, OWNER, "a", ())))


@given(
    part=st.sampled_from(["clientDataJSON", "authenticatorData", "signature"]),
    place=st.integers(0, 1000),
    change=st.integers(1, 255),
)
def test_an_answer_with_one_byte_changed_holds_no_longer(
    part: str, place: int, change: int
) -> None:
    """Wherever it is, in what is signed and in the signature."""
    content = bytearray(from_text(SIGNED["response"][part]))
    content[place % len(content)] ^= change
    spoilt = SIGNED | {"response": SIGNED["response"] | {part: to_text(bytes(content))}}

    assert PARTY.signed(Answer(json.dumps(SIGNED)), PASSKEY, CHALLENGE) == 1
    assert PARTY.signed(Answer(json.dumps(spoilt)), PASSKEY, CHALLENGE) is None


@given(
    changes=st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 255)), min_size=1, max_size=4),
    cut=st.integers(0, 1000),
)
def test_a_new_passkey_that_is_garbled_raises_nothing(
    changes: list[tuple[int, int]], cut: int
) -> None:
    """CBOR, keys and flags come from strangers: kept or refused, but answered."""
    content = bytearray(from_text(MADE["response"]["attestationObject"]))
    for place, value in changes:
        content[place % len(content)] = value
    spoilt = to_text(bytes(content[: max(1, len(content) - cut % 200)]))
    response = MADE["response"] | {"attestationObject": spoilt}

    made = PARTY.made(json.dumps(MADE | {"response": response}), CHALLENGE)

    assert made is None or len(made.credential_id) > 0
