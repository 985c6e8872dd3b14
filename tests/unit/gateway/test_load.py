"""The loader: every problem at once, and nothing said that has not changed."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from gateway.adapters.passwords import Passwords
from gateway.adapters.vault import Vault
from gateway.load import Loaded, load
from gateway.ports import Account, Owner, PendingLogin
from gateway.store import PostgresPortal
from gateway.town_file import read
from shared.errors import SettingsError
from shared.postgres import Database
from tests.unit.gateway.door import EMAIL, NOW, PASSWORD, SEALING_KEYS

SECRET = "0123456789abcdefghijklmnopqrstuvwxyz"


def a_town() -> dict[str, Any]:
    return {
        "authorities": [
            {
                "authority": "saint-aubin",
                "name": "Ville de Saint-Aubin",
                "regies": [
                    {
                        "code": "CANTINE",
                        "label": "Restauration scolaire",
                        "route": "regie",
                        "reminder_after_days": 20,
                        "stamp_place": {"x_mm": 160, "y_mm": 12.5},
                    }
                ],
            }
        ],
        "billers": [
            {
                "client_id": "facturation",
                "client_secret": SECRET,
                "authority": "saint-aubin",
                "regies": ["CANTINE"],
                "scopes": ["deposits:write"],
            }
        ],
        "agents": [{"login": "Regisseur", "password": PASSWORD, "authority": "saint-aubin"}],
        "citizens": [{"email": "Camille.Martin@exemple.test", "password": PASSWORD}],
    }


async def load_town(database: Database, town: dict[str, Any]) -> Loaded:
    passwords = Passwords()
    try:
        return await load(read(msgspec.json.encode(town)), database, passwords, Vault(SEALING_KEYS))
    finally:
        passwords.close()


async def published(database: Database) -> list[str]:
    async with database.reading() as connection:
        return [row["type"] for row in await connection.fetch("SELECT type FROM outbox ORDER BY 1")]


@pytest.mark.enable_socket
async def test_a_file_sets_a_town_and_says_so_once(database: Database) -> None:
    """The same file again changes nothing and publishes nothing."""
    first = await load_town(database, a_town())
    second = await load_town(database, a_town())

    assert first == Loaded(
        authorities=("saint-aubin",),
        billers=("facturation",),
        agents=("Regisseur",),
        citizens=1,
    )
    assert second == Loaded()
    assert await published(database) == ["authority.configured.v1"]


@pytest.mark.enable_socket
async def test_a_changed_authority_gets_the_next_revision(database: Database) -> None:
    """Consumers keep the highest."""
    await load_town(database, a_town())
    town = a_town()
    town["authorities"][0]["regies"][0]["reminder_after_days"] = 30

    changed = await load_town(database, town)

    assert changed == Loaded(authorities=("saint-aubin",))
    async with database.reading() as connection:
        values = [
            msgspec.json.decode(row["value"])
            for row in await connection.fetch("SELECT value FROM outbox ORDER BY id")
        ]
    assert [value["revision"] for value in values] == [1, 2]
    assert values[1]["regies"][0]["reminder_after_days"] == 30
    assert values[1]["regies"][0]["stamp_place"]["x_mm"] == 160


@pytest.mark.enable_socket
async def test_a_proved_address_is_told_once_and_stays_proved(database: Database) -> None:
    """`contact.updated` when it is proved, not at every load, and no file takes it back."""
    town = a_town()
    await load_town(database, town)
    town["citizens"][0]["verified"] = True
    proved = await load_town(database, town)
    await load_town(database, town)
    unsaid = await load_town(database, a_town())

    assert (proved.citizens, unsaid.citizens) == (1, 0)
    assert await published(database) == ["authority.configured.v1", "contact.updated.v1"]
    async with database.transaction() as transaction:
        account = await PostgresPortal(transaction).find_account(EMAIL)
    assert account is not None
    assert account.verified_at == NOW


@pytest.mark.enable_socket
async def test_a_stranger_who_claimed_the_address_before_keeps_nothing(database: Database) -> None:
    """The town vouches for its citizen, not for who opened an account with that address."""
    strangers = Account(account_id=uuid4(), email=EMAIL, password_hash="x", verified_at=None)
    async with database.transaction() as transaction:
        await PostgresPortal(transaction).add_account(strangers, NOW)
    town = a_town()
    town["citizens"][0]["verified"] = True

    await load_town(database, town)

    async with database.transaction() as transaction:
        portal = PostgresPortal(transaction)
        account = await portal.find_account(EMAIL)
        assert await portal.account(strangers.account_id) is None
    assert account is not None
    assert account.verified_at == NOW


@pytest.mark.enable_socket
async def test_another_password_logs_everybody_out(database: Database) -> None:
    """Of that person, and of no other."""
    town = a_town()
    await load_town(database, town)
    async with database.transaction() as transaction:
        portal = PostgresPortal(transaction)
        account = await portal.find_account(EMAIL)
        assert account is not None
        await portal.open_session("a" * 43, NOW, account_id=account.account_id)
        await portal.open_session("b" * 43, NOW, login="regisseur")
        owner = Owner(account_id=account.account_id)
        half_made = PendingLogin(owner=owner, method="password", following="/factures")
        await portal.open_pending("c" * 43, half_made, NOW)
    town["citizens"][0]["password"] = "un-autre-mot-de-passe"

    await load_town(database, town)

    async with database.transaction() as transaction:
        portal = PostgresPortal(transaction)
        assert ["b" * 43] == list(await portal.visitors(["a" * 43, "b" * 43], NOW))
        assert await portal.pending("c" * 43, NOW) is None


@pytest.mark.enable_socket
async def test_no_secret_is_kept_as_it_was_written(database: Database) -> None:
    """Passwords as argon2id, a biller's secret as a digest."""
    await load_town(database, a_town())

    everything = ""
    async with database.reading() as connection:
        for table in ("account", "agent", "biller", "outbox", "authority"):
            rows = await connection.fetch(f"SELECT * FROM {table}")
            everything += str([tuple(row) for row in rows])

    assert PASSWORD not in everything
    assert SECRET not in everything
    assert "$argon2id$v=19$m=19456,t=2,p=1$" in everything


def problems(content: bytes) -> Sequence[str]:
    with pytest.raises(SettingsError) as caught:
        read(content)
    return str(caught.value).split("; ")


def test_every_problem_of_form_is_told_at_once() -> None:
    """An operator mends a file in one go."""
    town = a_town()
    town["authorities"][0]["authority"] = "Saint Aubin"
    town["authorities"][0]["regies"][0]["route"] = "boat"
    town["authorities"][0]["regies"][0]["stamp_place"]["x_mm"] = "160"
    town["billers"][0]["client_secret"] = "short"
    town["billers"][0]["scopes"] = ["payments:write"]
    town["agents"][0]["password"] = "elevenchars"
    del town["agents"][0]["login"]
    town["citizens"][0]["email"] = "camille"
    town["citizens"][0]["verifed"] = True
    town["towns"] = []

    found = problems(msgspec.json.encode(town))

    assert [problem.split(":")[0] for problem in found] == [
        "/towns",
        "/authorities/0/authority",
        "/authorities/0/regies/0/route",
        "/authorities/0/regies/0/stamp_place/x_mm",
        "/billers/0/client_secret",
        "/billers/0/scopes/0",
        "/agents/0/login",
        "/agents/0/password",
        "/citizens/0/verifed",
        "/citizens/0/email",
    ]


def test_every_contradiction_is_told_at_once() -> None:
    """Well formed, and yet it cannot be meant."""
    town = a_town()
    town["authorities"] += a_town()["authorities"]
    town["authorities"][0]["regies"] *= 2
    town["billers"][0]["regies"] = ["PISCINE"]
    town["billers"][0]["client_secret"] = "a" * 32
    town["billers"] += [a_town()["billers"][0] | {"client_id": "other", "authority": "ailleurs"}]
    town["agents"][0]["authority"] = "ailleurs"
    town["citizens"] += [{"email": EMAIL, "password": PASSWORD}]

    found = problems(msgspec.json.encode(town))

    assert found == [
        "/authorities: saint-aubin comes twice",
        f"/citizens: {EMAIL} comes twice",
        "/authorities/0/regies: CANTINE comes twice",
        "/billers/0/regies: PISCINE is not a régie of saint-aubin",
        "/billers/0/client_secret: is not drawn by chance",
        "/billers/1/authority: ailleurs is not among the authorities",
        "/agents/0/authority: ailleurs is not among the authorities",
    ]


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "/"),
        (b"null", "/"),
        (b"{}", "/authorities"),
        (b'{"authorities": {}}', "/authorities"),
        (b'{"authorities": [1]}', "/authorities/0"),
        (b'{"authorities": [], "agents": null}', "/agents"),
    ],
)
def test_a_file_of_another_kind_is_refused(content: bytes, place: str) -> None:
    """With the place where it stops being one of ours."""
    assert problems(content)[0].split(":")[0] == place


@pytest.mark.enable_socket
async def test_a_refused_file_sets_nothing(database: Database) -> None:
    """All or nothing."""
    town = a_town()
    town["agents"][0]["authority"] = "ailleurs"

    with pytest.raises(SettingsError):
        await load_town(database, town)

    assert await published(database) == []


@pytest.mark.enable_socket
async def test_an_agents_application_is_set_by_the_file(database: Database) -> None:
    """Sealed; once; another secret takes the place of what they had, and logs them out."""
    vault, owner = Vault(SEALING_KEYS), Owner(login="regisseur")
    town = a_town()
    town["agents"][0]["totp_secret"] = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
    first = await load_town(database, town)
    second = await load_town(database, town)
    async with database.transaction() as transaction:
        portal = PostgresPortal(transaction)
        await portal.set_recovery_codes(owner, ["a" * 16])
        await portal.open_session("a" * 43, NOW, login="regisseur")
    town["agents"][0]["totp_secret"] = "KRSXG5CTKRSXG5CTKRSXG5CTKRSXG5CT"

    changed = await load_town(database, town)

    assert (first.agents, second.agents, changed.agents) == (("Regisseur",), (), ("Regisseur",))
    async with database.transaction() as transaction:
        portal = PostgresPortal(transaction)
        [factor] = await portal.totp_factors(owner)
        assert await portal.recovery_codes_left(owner) == 0
        assert await portal.visitors(["a" * 43], NOW) == {}
    assert vault.open(factor.sealed_secret) == b"KRSXG5CTKRSXG5CTKRSXG5CTKRSXG5CT"


@pytest.mark.parametrize("secret", ["", "ABC", "0" * 32, "A" * 25, "JBSWY3DPEHPK3PXP"])
def test_a_secret_that_no_application_takes_is_refused(secret: str) -> None:
    """With its place."""
    town = a_town()
    town["agents"][0]["totp_secret"] = secret

    with pytest.raises(SettingsError, match="/agents/0/totp_secret"):
        read(msgspec.json.encode(town))
