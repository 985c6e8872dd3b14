"""The file of accounts: read at start, refused with a reason, silent about its keys."""

from pathlib import Path

import msgspec
import pytest

from payment.adapters.accounts import Account, ConfiguredProviders, read_accounts
from payment.adapters.lyra import LyraAccount
from payment.ports import Provider
from shared.errors import SettingsError
from tests.unit.payment.payment_builders import KEY, NOTIFY_URL, an_account


def a_file(folder: Path, *accounts: dict[str, object]) -> Path:
    """Return a file with these accounts."""
    path = folder / "accounts.json"
    path.write_bytes(msgspec.json.encode(accounts))
    return path


def a_row(**changes: object) -> dict[str, object]:
    """Return an account as it stands in the file."""
    row: dict[str, object] = msgspec.to_builtins(an_account())
    return row | changes


def configured(*accounts: Account) -> ConfiguredProviders:
    """Return these accounts, each with its provider."""
    return ConfiguredProviders(
        list(accounts), {"lyra": lambda account: LyraAccount(account, NOTIFY_URL)}
    )


def name_of(provider: Provider | None) -> str | None:
    """Return the account's name."""
    return provider.account if provider else None


def test_reads_the_accounts_of_a_file(tmp_path: Path) -> None:
    """One shop for each, with the key that a rotation leaves valid."""
    path = a_file(tmp_path, a_row(previous_key="8877665544332211"))

    assert [an_account(previous_key="8877665544332211")] == read_accounts(path)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"site_id": "1234"}, "site_id"),
        ({"ctx_mode": "LIVE"}, "ctx_mode"),
        ({"provider": "paybox"}, "provider"),
        ({"key": ""}, "key"),
        ({"key": KEY + "\n"}, "key"),
        ({"previous_key": "x"}, "previous_key"),
        ({"service_url": "secure.payzen.eu"}, "service_url"),
        ({"account": "Saint Aubin"}, "account"),
        ({"regies": []}, "regies"),
        ({"authority": ""}, "authority"),
        ({"secret": "x"}, "secret"),
    ],
)
def test_names_the_field_that_is_wrong_and_not_its_value(
    tmp_path: Path, changes: dict[str, object], place: str
) -> None:
    """F37: a service with half a configuration does not start."""
    with pytest.raises(SettingsError, match=place) as raised:
        read_accounts(a_file(tmp_path, a_row(**changes)))

    assert "provider accounts" in str(raised.value)
    assert KEY not in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"\xff"])
def test_refuses_a_file_that_is_no_list_of_accounts(tmp_path: Path, content: bytes) -> None:
    """The reason is one line, not a traceback."""
    path = tmp_path / "accounts.json"
    path.write_bytes(content)

    with pytest.raises(SettingsError, match="provider accounts"):
        read_accounts(path)


def test_says_that_the_file_is_not_there(tmp_path: Path) -> None:
    """The secret was not mounted."""
    with pytest.raises(SettingsError, match=r"absent\.json"):
        read_accounts(tmp_path / "absent.json")


@pytest.mark.parametrize(
    "other",
    [
        {"authority": "val-de-brume"},
        {"account": "autre"},
        {"account": "autre", "regies": ["CANTINE", "CANTINE"]},
    ],
    ids=["name twice", "authority twice", "regie twice"],
)
def test_refuses_two_accounts_for_one_name_or_one_regie(
    tmp_path: Path, other: dict[str, object]
) -> None:
    """Nobody could say where the money goes."""
    with pytest.raises(SettingsError, match="twice"):
        read_accounts(a_file(tmp_path, a_row(), a_row(**other)))


def test_a_regie_with_an_account_of_its_own_does_not_use_the_common_one() -> None:
    """The more exact account wins."""
    own = an_account(account="creche", regies=("CRECHE",))
    providers = configured(an_account(), own)

    assert name_of(providers.for_regies("saint-aubin", {"CRECHE"})) == "creche"
    assert name_of(providers.for_regies("saint-aubin", {"CANTINE"})) == "saint-aubin-carte"


def test_finds_no_single_account_for_regies_that_are_paid_apart() -> None:
    """One payment goes to one account."""
    own = an_account(account="creche", regies=("CRECHE",))

    assert configured(an_account(), own).for_regies("saint-aubin", {"CRECHE", "CANTINE"}) is None


def test_never_pays_into_the_account_of_another_authority() -> None:
    """A regie's code may be the same in two towns."""
    assert configured(an_account()).for_regies("val-de-brume", {"CANTINE"}) is None


def test_finds_an_account_by_its_name_for_the_notices() -> None:
    """And none by a name that is not configured."""
    providers = configured(an_account())

    assert name_of(providers.by_account("lyra", "saint-aubin-carte")) == "saint-aubin-carte"
    assert providers.by_account("lyra", "autre") is None
    assert providers.by_account("paybox", "saint-aubin-carte") is None
