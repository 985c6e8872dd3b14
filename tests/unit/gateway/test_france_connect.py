"""FranceConnect's pages: in and out, linking, unlinking; what nobody else can do with them."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from gateway.api.france_connect import OWN_PATH, PATH, RETURN_PATH
from shared.clock import FixedClock
from shared.postgres import Database
from tests.unit.gateway.door import EMAIL, PASSWORD, Door
from tests.unit.gateway.state import Citizen, State, a_citizen, query_of

pytestmark = pytest.mark.enable_socket

UNLINKING = f"{OWN_PATH}/delier"


async def accounts_of_identities(door: Door) -> list[UUID]:
    async with door.database.reading() as connection:
        rows = await connection.fetch("SELECT account_id FROM identity ORDER BY linked_at")
        return [row["account_id"] for row in rows]


async def count_of_kind(door: Door, kind: str) -> int:
    async with door.database.reading() as connection:
        found: int = await connection.fetchval(
            "SELECT count(*) FROM account_event WHERE kind = $1", kind
        )
        return found


async def end(citizen: Citizen, page_location: str) -> str:
    """Follow FranceConnect's logout and come back; return where that leads."""
    back = await citizen.state.open(page_location)
    assert back.status == 303
    return (await citizen.come_back(back.headers["Location"])).location


async def test_a_first_login_opens_an_account_without_address_or_password(
    citizen: Citizen,
) -> None:
    """Protocols §2: after FranceConnect nothing more is asked."""
    page = await citizen.sign_in(suite="/compte/activite")

    assert (page.status, page.location) == (303, "/compte/activite")
    async with citizen.door.database.reading() as connection:
        [account] = await connection.fetch("SELECT email, password_hash FROM account")
        [session] = await connection.fetch("SELECT method FROM session")
    assert (account["email"], account["password_hash"]) == (None, None)
    assert session["method"] == "franceconnect"


async def test_shows_the_identity_as_it_was_told_and_when(citizen: Citizen) -> None:
    """C8: for its owner to see; the address is only a suggestion."""
    await citizen.sign_in("aminata")

    page = await citizen.door.get(OWN_PATH)

    assert "Nom de naissance DIALLO Prénoms Aminata Date de naissance 1962" in page.text
    assert "Commune de naissance (code INSEE) – Pays de naissance (code INSEE) 99335" in page.text
    assert "Lié le 24 novembre 2026 à 14 h 05" in page.text
    assert UNLINKING not in page.actions()


@pytest.mark.parametrize(
    ("person", "words"),
    [
        ("camille", "Prénoms Camille, Louise, Marie Date de naissance 17 mai 1984"),
        ("anais", "Prénoms Anaïs Date de naissance 31 décembre 1999"),
        ("minh", "Nom de naissance NGUYỄN Prénoms Minh, Anh Date de naissance 3 février 1979"),
        ("yann", "Prénoms Jean-Yves, Yann Date de naissance novembre 1955"),
    ],
)
async def test_keeps_every_kind_of_civil_status(citizen: Citizen, person: str, words: str) -> None:
    """Partial dates, one given name, letters of elsewhere."""
    await citizen.sign_in(person)

    assert words in (await citizen.door.get(OWN_PATH)).text


async def test_a_second_login_opens_the_same_account(citizen: Citizen) -> None:
    """The key is issuer and subject."""
    await citizen.sign_in()
    citizen.door.forget_cookies()

    await citizen.sign_in()

    assert await citizen.door.count("account") == 1
    assert len(await accounts_of_identities(citizen.door)) == 1


async def test_namesakes_get_accounts_of_their_own(citizen: Citizen) -> None:
    """Same names, same birthday, another place: another subject."""
    await citizen.sign_in("camille")
    citizen.door.forget_cookies()

    await citizen.sign_in("camille-homonyme")

    assert len(set(await accounts_of_identities(citizen.door))) == 2


async def test_the_address_that_is_told_opens_no_account_of_that_address(
    citizen: Citizen,
) -> None:
    """C8: it is no proof. Whoever typed somebody's address elsewhere would be them here."""
    theirs = await citizen.door.add_account(email="camille.martin@example.org")

    await citizen.sign_in("camille")

    assert theirs not in await accounts_of_identities(citizen.door)
    assert await citizen.door.count("account") == 2
    page = await citizen.door.get(OWN_PATH)
    assert "camille.martin@example.org" in page.text


async def test_who_refuses_is_told_so_and_nothing_is_kept(citizen: Citizen) -> None:
    """`access_denied` is a page, not a fault."""
    page = await citizen.refuse()

    assert page.status == 403
    assert "Vous avez renoncé à vous identifier" in page.text
    assert await citizen.door.count("account") == 0
    assert await citizen.door.count("session") == 0


async def test_a_login_leads_nowhere_but_here(citizen: Citizen) -> None:
    """ASVS 3.7.2."""
    page = await citizen.sign_in(suite="https://evil.example/")

    assert page.location == "/factures"


async def test_asks_for_what_the_habilitation_grants_and_no_more(
    citizen: Citizen, state: State
) -> None:
    """S11: state and nonce of 256 random bits; `prompt` is not sent."""
    first = query_of((await citizen.leave()).location)
    second = query_of((await citizen.leave()).location)

    assert sorted(first) == [
        "acr_values",
        "client_id",
        "nonce",
        "redirect_uri",
        "response_type",
        "scope",
        "state",
    ]
    assert (first["scope"], first["acr_values"]) == ("openid identite_pivot email", "eidas1")
    assert (len(first["state"]), len(first["nonce"])) == (43, 43)
    assert first["state"] != second["state"]
    assert first["nonce"] != second["nonce"]
    assert first["nonce"] != first["state"]


async def test_the_secrets_of_a_journey_are_kept_as_digests(
    citizen: Citizen,
) -> None:
    """Whoever reads the table cannot come back in somebody's place."""
    state = query_of((await citizen.leave()).location)["state"]

    async with citizen.door.database.reading() as connection:
        [row] = await connection.fetch("SELECT * FROM france_connect_journey")

    assert state not in repr(dict(row))
    assert citizen.door.cookie("form") not in repr(dict(row))


async def test_coming_back_twice_with_the_same_answer_does_nothing(citizen: Citizen) -> None:
    """A replayed state is spent."""
    left = await citizen.leave()
    address = await citizen.state.answer(left.location, personne="camille")
    await citizen.come_back(address)
    citizen.door.set_cookie("session", "")

    page = await citizen.come_back(address)

    assert page.status == 400
    assert "Cette demande n’est plus valable" in page.text
    assert await citizen.door.count("session") == 1


async def test_another_browser_cannot_come_back_and_spends_nothing(citizen: Citizen) -> None:
    """Login CSRF: a link with the answer of an attacker logs nobody in (RFC 9700, 4.7)."""
    left = await citizen.leave()
    address = await citizen.state.answer(left.location, personne="camille")
    own = citizen.door.cookie("form")
    citizen.door.forget_cookies()
    await citizen.door.get("/connexion")

    foreign = await citizen.come_back(address)
    without = await accounts_of_identities(citizen.door)
    citizen.door.forget_cookies()
    citizen.door.set_cookie("form", own)
    owner = await citizen.come_back(address)

    assert (foreign.status, without) == (400, [])
    assert (owner.status, owner.location) == (303, "/factures")


@pytest.mark.parametrize(
    "change",
    [
        lambda query: query.replace("state=", "state=x"),
        lambda query: query.replace("state=", "was="),
        lambda query: f"{query}&state=another",
        lambda query: query.replace("state=", "state=%00"),
        lambda query: "",
    ],
    ids=["altered", "absent", "twice", "with a NUL", "nothing at all"],
)
async def test_an_answer_without_its_state_does_nothing(citizen: Citizen, change: object) -> None:
    """S11: state is checked first."""
    assert callable(change)
    left = await citizen.leave()
    query = (await citizen.state.answer(left.location, personne="camille")).partition("?")[2]

    page = await citizen.door.get(f"{RETURN_PATH}?{change(query)}")

    assert page.status == 400
    assert await citizen.door.count("account") == 0


async def test_a_journey_ends_after_ten_minutes(citizen: Citizen, clock: FixedClock) -> None:
    """And is swept away then."""
    left = await citizen.leave()
    address = await citizen.state.answer(left.location, personne="camille")
    clock.advance(timedelta(minutes=10))

    page = await citizen.come_back(address)
    async with citizen.door.portal() as portal:
        swept = await portal.tidy_journeys(clock.now())

    assert page.status == 400
    assert (swept, await citizen.door.count("france_connect_journey")) == (1, 0)


async def test_a_code_lives_thirty_seconds(citizen: Citizen, clock: FixedClock) -> None:
    """Protocols §2; who is late is told what to do."""
    left = await citizen.leave()
    address = await citizen.state.answer(left.location, personne="camille")
    clock.advance(timedelta(seconds=31))

    page = await citizen.come_back(address)

    assert page.status == 400
    assert "L’identification a pris trop de temps" in page.text
    assert await citizen.door.count("account") == 0


async def test_leaving_needs_a_form_of_ours(citizen: Citizen) -> None:
    """Nobody is sent to FranceConnect by another site."""
    page = await citizen.door.post(PATH, {"suite": "/factures"})

    assert page.status == 403
    assert await citizen.door.count("france_connect_journey") == 0


async def test_leaving_again_and_again_is_slowed_down(citizen: Citizen) -> None:
    """Nobody fills the table."""
    statuses = [(await citizen.leave()).status for _ in range(61)]

    assert statuses == [303] * 60 + [429]


async def test_logging_out_ends_the_session_here_and_at_franceconnect(
    citizen: Citizen, state: State
) -> None:
    """C8: always `session/end`, and back here with the state that was given."""
    await citizen.sign_in()
    secret = citizen.door.cookie("session")

    page = await citizen.door.submit("/deconnexion")
    is_over_here = await citizen.door.count("session") == 0
    following = await end(citizen, page.location)

    [login] = await state.logins()
    assert page.location.startswith(f"{state.issuer}/session/end?")
    assert (is_over_here, login["is_open"], following) == (True, False, "/")
    citizen.door.set_cookie("session", secret)
    assert (await citizen.door.get("/compte")).status == 303


async def test_a_logout_half_an_hour_later_still_reaches_franceconnect(
    citizen: Citizen, clock: FixedClock
) -> None:
    """The id token has expired by then; as a hint it is still good."""
    await citizen.sign_in()
    clock.advance(timedelta(minutes=29))

    page = await citizen.door.submit("/deconnexion")

    assert await end(citizen, page.location) == "/"


async def test_an_id_token_is_kept_sealed(citizen: Citizen) -> None:
    """It names a person: whoever reads the table learns nothing."""
    await citizen.sign_in()

    async with citizen.door.database.reading() as connection:
        sealed = await connection.fetchval("SELECT id_token_sealed FROM france_connect_session")
        subject = await connection.fetchval("SELECT subject FROM identity")

    # A token has two; what is sealed is written without.
    assert b"." not in sealed
    assert subject.encode() not in sealed


async def test_logs_out_here_when_franceconnect_is_down(
    database: Database, clock: FixedClock, state: State, citizen: Citizen
) -> None:
    """The session here never waits for anybody."""
    await citizen.sign_in()
    clock.advance(timedelta(minutes=20))
    async with a_citizen(database, clock, state) as restarted:
        restarted.door.set_cookie("session", citizen.door.cookie("session"))
        await state.set_faults(server_error=True)

        page = await restarted.door.submit("/deconnexion")

    assert (page.status, page.location) == (303, "/")
    assert await citizen.door.count("session") == 0


async def test_a_password_session_logs_out_without_franceconnect(citizen: Citizen) -> None:
    """There is nothing to end there."""
    await citizen.door.log_in()

    assert (await citizen.door.submit("/deconnexion")).location == "/"


@pytest.mark.parametrize("state_given", ["", "a" * 43])
async def test_coming_back_from_a_logout_that_nobody_began_leads_nowhere(
    citizen: Citizen, state_given: str
) -> None:
    """Nor does the state of a login serve there."""
    login_state = query_of((await citizen.leave()).location)["state"]

    foreign = await citizen.door.get(f"/deconnexion/retour?state={state_given}")
    of_a_login = await citizen.door.get(f"/deconnexion/retour?state={login_state}")

    assert (foreign.status, of_a_login.status) == (400, 400)


async def test_the_state_of_a_logout_does_not_serve_to_log_in(citizen: Citizen) -> None:
    """Each state is for one purpose: FranceConnect is not even asked about the code."""
    await citizen.sign_in()
    state = query_of((await citizen.door.submit("/deconnexion")).location)["state"]

    page = await citizen.door.get(f"{RETURN_PATH}?code=a&state={state}&iss={citizen.state.issuer}")

    assert page.status == 400
    assert "Cette demande n’est plus valable" in page.text
    assert await citizen.door.count("session") == 0


async def test_links_an_account_that_was_opened_by_password(citizen: Citizen) -> None:
    """And FranceConnect opens it from then on; its owner gets a letter."""
    account_id = await citizen.door.log_in()

    page = await citizen.sign_in(motif="lier")
    linked = await accounts_of_identities(citizen.door)
    await citizen.door.submit("/deconnexion")
    citizen.door.forget_cookies()
    await citizen.sign_in()

    assert (page.status, page.location, linked) == (303, OWN_PATH, [account_id])
    assert EMAIL in (await citizen.door.get("/compte")).text
    assert await citizen.door.count("account") == 1
    assert await count_of_kind(citizen.door, "identity-linked") == 1


async def test_an_identity_of_another_account_is_not_linked(citizen: Citizen) -> None:
    """Said plainly, and nothing changes."""
    await citizen.sign_in()
    citizen.door.forget_cookies()
    before = await accounts_of_identities(citizen.door)
    account_id = await citizen.door.log_in()

    page = await citizen.sign_in(motif="lier")

    assert page.status == 409
    assert "déjà liée à un autre compte. Rien n’a changé" in page.text
    assert await accounts_of_identities(citizen.door) == before
    assert account_id not in before
    assert await count_of_kind(citizen.door, "identity-linked") == 0


async def test_an_account_has_one_identity(citizen: Citizen) -> None:
    """Another one replaces nothing."""
    account_id = await citizen.door.log_in()
    await citizen.sign_in("camille", motif="lier")

    page = await citizen.sign_in("anais", motif="lier")

    assert page.status == 409
    assert "déjà lié à une autre identité" in page.text
    assert await accounts_of_identities(citizen.door) == [account_id]
    assert "MARTIN" in (await citizen.door.get(OWN_PATH)).text


async def test_linking_needs_somebody_who_is_logged_in(citizen: Citizen) -> None:
    """Else to the login page."""
    page = await citizen.leave(motif="lier")

    assert (page.status, page.location) == (303, "/connexion")
    assert await citizen.door.count("france_connect_journey") == 0


async def test_linking_and_unlinking_need_a_fresh_proof(
    citizen: Citizen, clock: FixedClock
) -> None:
    """ASVS 7.5.1: who finds an open session adds no way in, and takes none away."""
    await citizen.door.log_in()
    clock.advance(timedelta(minutes=6))

    linking = await citizen.leave(motif="lier")
    unlinking = await citizen.door.submit(UNLINKING)

    proof = "/compte/securite/preuve?suite=/compte/franceconnect"
    assert (linking.location, unlinking.location) == (proof, proof)
    assert await citizen.door.count("france_connect_journey") == 0


async def test_an_account_that_was_left_meanwhile_is_not_linked(citizen: Citizen) -> None:
    """Who comes back as somebody else links nothing to them."""
    await citizen.door.log_in()
    left = await citizen.leave(motif="lier")
    address = await citizen.state.answer(left.location, personne="camille")
    await citizen.door.submit("/deconnexion")
    await citizen.door.log_in(email="autre@exemple.test")

    page = await citizen.come_back(address)

    assert page.status == 403
    assert "Vous n’êtes plus connecté au compte" in page.text
    assert await accounts_of_identities(citizen.door) == []


async def test_unlinking_leaves_franceconnect_and_ends_what_it_opened(
    citizen: Citizen, state: State
) -> None:
    """C8: the password opens the account from then on."""
    account_id = await citizen.door.log_in()
    await citizen.sign_in(motif="lier")
    await citizen.door.submit("/deconnexion")
    citizen.door.forget_cookies()
    await citizen.sign_in()

    page = await citizen.door.submit(UNLINKING)
    is_over_here = await citizen.door.count("session") == 0
    following = await end(citizen, page.location)

    assert await accounts_of_identities(citizen.door) == []
    assert (is_over_here, following) == (True, OWN_PATH)
    assert not any(login["is_open"] for login in await state.logins())
    assert await count_of_kind(citizen.door, "identity-unlinked") == 1
    again = await citizen.door.submit("/connexion", {"email": EMAIL, "password": PASSWORD})
    assert again.status == 303
    async with citizen.door.database.reading() as connection:
        assert await connection.fetchval("SELECT account_id FROM session") == account_id


async def test_a_session_by_password_survives_unlinking(citizen: Citizen) -> None:
    """Only FranceConnect's own sessions end; FranceConnect is left all the same."""
    await citizen.door.log_in()
    await citizen.sign_in(motif="lier")

    page = await citizen.door.submit(UNLINKING)

    assert await end(citizen, page.location) == OWN_PATH
    own = await citizen.door.get(OWN_PATH)
    assert own.status == 200
    assert "Liez ce compte à votre identité FranceConnect" in own.text


@pytest.mark.parametrize("verified", [True, False])
async def test_the_only_way_in_is_not_taken_away(citizen: Citizen, *, verified: bool) -> None:
    """An account without a password, or whose address is not proved."""
    if verified:
        await citizen.sign_in()
    else:
        await citizen.door.log_in(verified=False)
        await citizen.sign_in(motif="lier")
    before = await accounts_of_identities(citizen.door)

    page = await citizen.door.submit(UNLINKING)

    assert page.status == 409
    assert "FranceConnect est votre seule façon d’ouvrir ce compte" in page.text
    assert await accounts_of_identities(citizen.door) == before
    assert await citizen.door.count("session") == 1


async def test_confirming_gives_the_session_a_fresh_proof(
    citizen: Citizen, clock: FixedClock
) -> None:
    """ASVS 7.5.1: for accounts that have no password to give again."""
    await citizen.sign_in()
    earlier = citizen.door.cookie("session")
    clock.advance(timedelta(minutes=6))
    stale = await citizen.door.submit(UNLINKING)

    page = await citizen.sign_in(motif="confirmer", suite="/compte/donnees")
    fresh = await citizen.door.submit(UNLINKING)

    assert stale.status == 303
    assert (page.status, page.location) == (303, "/compte/donnees")
    assert citizen.door.cookie("session") not in ("", earlier)
    # It is the only way in: but the proof was fresh.
    assert fresh.status == 409
    assert await citizen.door.count("session") == 1


async def test_somebody_else_does_not_confirm(citizen: Citizen, clock: FixedClock) -> None:
    """Who sits at the same machine is not the account's owner."""
    await citizen.sign_in("camille")
    clock.advance(timedelta(minutes=6))

    page = await citizen.sign_in("anais", motif="confirmer")

    assert page.status == 409
    assert "n’est pas celle de ce compte" in page.text
    assert (await citizen.door.submit(UNLINKING)).status == 303
    assert len(await accounts_of_identities(citizen.door)) == 1


async def test_confirming_links_nothing(citizen: Citizen) -> None:
    """An account without an identity has nothing to confirm with."""
    await citizen.door.log_in()

    page = await citizen.sign_in(motif="confirmer")

    assert page.status == 409
    assert await accounts_of_identities(citizen.door) == []


async def test_the_button_is_there_and_may_lead_to_franceconnect(
    citizen: Citizen, state: State
) -> None:
    """Wording and link of the State; the policy lets the form follow its redirect."""
    page = await citizen.door.get("/connexion?suite=/compte")

    button = page.element("//button[@class='franceconnect wide']")
    link = page.element("//a[@href='https://franceconnect.gouv.fr/']")
    assert button.text_content() == "S’identifier avec FranceConnect"
    assert link.text_content() == "Qu’est-ce que FranceConnect\u00a0?"
    assert page.fields(PATH)["suite"] == "/compte"
    origin = state.issuer.removesuffix("/api/v2")
    assert (
        "form-action 'self' https://paiement.exemple.test"
        in page.headers["Content-Security-Policy"]
    )
    assert page.headers["Content-Security-Policy"].endswith(f" {origin}")
    assert PATH in (await citizen.door.get("/compte/creer")).actions()


async def test_nothing_of_it_is_there_without_settings(door: Door) -> None:
    """No button, no page, no menu."""
    await door.log_in()

    pages = [await door.get(RETURN_PATH), await door.get(OWN_PATH), await door.submit(PATH)]
    account = await door.get("/compte")

    assert [page.status for page in pages] == [404, 404, 404]
    assert "FranceConnect" not in account.text


async def test_somebody_who_comes_twice_at_once_gets_one_account(citizen: Citizen) -> None:
    """Two tabs, both for the first time."""
    addresses = [
        await citizen.state.answer((await citizen.leave()).location, personne="camille")
        for _ in range(2)
    ]

    pages = await asyncio.gather(*(citizen.come_back(address) for address in addresses))

    assert [page.status for page in pages] == [303, 303]
    assert await citizen.door.count("account") == 1
    assert len(await accounts_of_identities(citizen.door)) == 1


async def test_the_same_answer_twice_at_once_serves_once(citizen: Citizen) -> None:
    """The state is read and spent in one statement."""
    left = await citizen.leave()
    address = await citizen.state.answer(left.location, personne="camille")

    pages = await asyncio.gather(*(citizen.come_back(address) for _ in range(3)))

    assert sorted(page.status for page in pages) == [303, 400, 400]
    assert await citizen.door.count("session") == 1


async def test_a_session_that_got_another_secret_still_logs_out_there(citizen: Citizen) -> None:
    """Who proves again who they are keeps what FranceConnect wants to see at the end."""
    await citizen.door.log_in()
    await citizen.sign_in(motif="lier")
    earlier = citizen.door.cookie("session")
    proof = {"moyen": "motdepasse", "password": PASSWORD, "suite": OWN_PATH}
    proved = await citizen.door.submit("/compte/securite/preuve", proof)

    page = await citizen.door.submit("/deconnexion")

    assert (proved.status, citizen.door.cookie("session") == earlier) == (303, False)
    assert await end(citizen, page.location) == "/"


async def test_a_token_that_was_sealed_under_a_lost_key_ends_the_session_here(
    database: Database, clock: FixedClock, state: State, citizen: Citizen
) -> None:
    """The keys of the portal were replaced twice since."""
    await citizen.sign_in()
    async with database.transaction() as transaction:
        await transaction.connection.execute(
            "UPDATE france_connect_session SET id_token_sealed = '\\x00'"
        )

    page = await citizen.door.submit("/deconnexion")

    assert page.location == "/"
    assert await citizen.door.count("session") == 0


async def test_unlinking_somebody_elses_identity_is_not_possible(citizen: Citizen) -> None:
    """The account is the session's, whatever the form says."""
    await citizen.sign_in()
    [theirs] = await accounts_of_identities(citizen.door)
    citizen.door.forget_cookies()
    await citizen.door.log_in()

    page = await citizen.door.submit(UNLINKING, {"account_id": str(theirs)})

    assert (page.status, page.location) == (303, OWN_PATH)
    assert await accounts_of_identities(citizen.door) == [theirs]


async def test_a_deleted_account_leaves_no_identity(citizen: Citizen) -> None:
    """RGPD, article 17: the next login begins anew."""
    await citizen.sign_in()
    [before] = await accounts_of_identities(citizen.door)
    await citizen.door.submit("/compte/supprimer", {"confirmation": "oui"})
    after = await accounts_of_identities(citizen.door)
    citizen.door.forget_cookies()

    await citizen.sign_in()

    assert after == []
    assert before not in await accounts_of_identities(citizen.door)
