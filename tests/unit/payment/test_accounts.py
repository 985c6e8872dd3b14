"""The file of accounts: read at start, refused with a reason, silent about its keys."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from payment.adapters.accounts import Account, read_accounts
from payment.adapters.providers import ConfiguredProviders
from payment.domain import Closure, PartialPayment, Terms
from payment.ports import Provider
from shared.errors import SettingsError
from tests.unit.payment.payment_builders import KEY, an_account
from tests.unit.payment.provider_builders import (
    MOLLIE_KEY,
    PAYBOX_KEY,
    SHA_IN,
    SIPS_KEY,
    a_clock,
    a_mollie_shop,
    a_paybox_shop,
    a_payfip_contract,
    a_sips_shop,
    a_tipi_contract,
    an_ogone_shop,
    an_order,
    done,
)

EVERY_KIND: dict[str, Account] = {
    "lyra": an_account(),
    "paybox": a_paybox_shop(),
    "sips": a_sips_shop(),
    "ogone": an_ogone_shop(),
    "mollie": a_mollie_shop(),
    "payfip": a_payfip_contract(),
    "tipi": a_tipi_contract(),
}


def a_file(folder: Path, *accounts: dict[str, object]) -> Path:
    """Return a file with these accounts."""
    path = folder / "accounts.json"
    path.write_bytes(msgspec.json.encode(accounts))
    return path


def a_row(kind: str = "lyra", /, **changes: object) -> dict[str, object]:
    """Return an account as it stands in the file."""
    row: dict[str, object] = msgspec.to_builtins(EVERY_KIND[kind])
    return row | changes


def configured(*accounts: Account) -> ConfiguredProviders:
    """Return these accounts, each with its provider."""
    return ConfiguredProviders(accounts, "https://payer.example/", a_clock())


def changed(account: Account, /, **changes: object) -> Any:
    """Return an account with other values."""
    return msgspec.structs.replace(account, **changes)


def name_of(provider: Provider | None) -> str | None:
    """Return the account's name."""
    return provider.account if provider else None


def test_reads_the_accounts_of_a_file(tmp_path: Path) -> None:
    """One of each kind, as they were written."""
    rows = [a_row(kind, account=kind, authority=f"town-{kind}") for kind in EVERY_KIND]

    accounts = read_accounts(a_file(tmp_path, *rows))

    expected = [
        changed(account, account=kind, authority=f"town-{kind}")
        for kind, account in EVERY_KIND.items()
    ]
    assert expected == accounts
    assert list(EVERY_KIND) == [account.provider for account in accounts]


def test_reads_a_file_that_only_knows_what_lyra_needs(tmp_path: Path) -> None:
    """Files that were written before the other providers came stay right."""
    row: dict[str, object] = {
        "account": "saint-aubin-carte",
        "authority": "saint-aubin",
        "regies": None,
        "provider": "lyra",
        "site_id": "12345678",
        "key": KEY,
        "previous_key": None,
        "ctx_mode": "TEST",
        "service_url": "https://provider.example/vads-payment/",
    }

    assert [an_account()] == read_accounts(a_file(tmp_path, row))


def test_reads_what_the_authority_decided(tmp_path: Path) -> None:
    """Parts, closing times, and how long after its due date an invoice can be paid."""
    row = a_row(
        partial={"allowed": True, "minimum_cents": 5_00},
        closures=[
            {
                "starts_at": "2026-12-24T18:00:00+01:00",
                "ends_at": "2026-12-27T08:00:00+01:00",
                "cause": "regie",
            }
        ],
        days_after_due=30,
        minimum_cents=2_00,
        maximum_cents=500_00,
    )

    [account] = read_accounts(a_file(tmp_path, row))

    closure = Closure(
        starts_at=datetime(2026, 12, 24, 17, tzinfo=UTC),
        ends_at=datetime(2026, 12, 27, 7, tzinfo=UTC),
        cause="regie",
    )
    partial = PartialPayment(allowed=True, minimum_cents=5_00)
    terms = Terms(partial=partial, closures=(closure,), days_after_due=30)
    assert terms == configured(account).terms("lyra", "saint-aubin-carte")
    assert Terms() == configured(account).terms("lyra", "gone")
    assert (2_00, 500_00) == (account.rules.minimum_cents, account.rules.maximum_cents)


@pytest.mark.parametrize(
    ("kind", "changes", "place"),
    [
        ("lyra", {"site_id": "1234"}, "site_id"),
        ("lyra", {"ctx_mode": "LIVE"}, "ctx_mode"),
        ("lyra", {"provider": "unknown"}, "provider"),
        ("lyra", {"key": ""}, "key"),
        ("lyra", {"key": KEY + "\n"}, "key"),
        ("lyra", {"previous_key": "x"}, "previous_key"),
        ("lyra", {"service_url": "secure.payzen.eu"}, "service_url"),
        ("lyra", {"account": "Saint Aubin"}, "account"),
        ("lyra", {"regies": []}, "regies"),
        ("lyra", {"authority": ""}, "authority"),
        ("lyra", {"secret": "x"}, "secret"),
        ("lyra", {"active": "yes"}, "active"),
        ("lyra", {"route": "treasury"}, "route"),
        ("lyra", {"minimum_cents": 0}, "minimum_cents"),
        ("lyra", {"minimum_cents": 2, "maximum_cents": 1}, "minimum_cents"),
        ("lyra", {"closures": [{"starts_at": "2026-12-24"}]}, "closures"),
        ("paybox", {"site": "199988"}, "site"),
        ("paybox", {"rang": "1"}, "rang"),
        ("paybox", {"identifiant": "1234567890"}, "identifiant"),
        ("paybox", {"key": PAYBOX_KEY[1:]}, "key"),
        ("paybox", {"key": "g" * 128}, "key"),
        ("paybox", {"public_key": "x"}, "public_key"),
        ("paybox", {"notify_token": "short"}, "notify_token"),
        ("paybox", {"mode": "PRODUCTION"}, "notify_token is needed"),
        ("paybox", {"service_url": "https://tpeweb.paybox.com/php/"}, "service_url"),
        ("sips", {"merchant_id": "00200100000001"}, "merchant_id"),
        ("sips", {"key": "short"}, "key"),
        ("sips", {"key_version": "x"}, "key_version"),
        ("ogone", {"pspid": "a shop"}, "pspid"),
        ("ogone", {"sha_in": "short"}, "sha_in"),
        ("ogone", {"sha_out": None}, "sha_out"),
        ("ogone", {"algorithm": "sha1"}, "algorithm"),
        ("ogone", {"mode": "LIVE"}, "mode"),
        ("mollie", {"key": "k" * 35}, "key"),
        ("mollie", {"mode": "PRODUCTION"}, "key is that of the other mode"),
        ("mollie", {"key": MOLLIE_KEY.replace("test", "live")}, "key is that of the other mode"),
        ("payfip", {"numcli": "12345"}, "numcli"),
        ("payfip", {"numcli": "12345A"}, "numcli"),
        ("payfip", {"numcli": "123456\n"}, "numcli"),
        ("payfip", {"saisie": "A"}, "saisie"),
        ("payfip", {"minimum_cents": 99}, "minimum_cents"),
        ("payfip", {"maximum_cents": 100_000_01}, "minimum_cents and maximum_cents"),
        ("payfip", {"page_url": "http://www.payfip.gouv.fr/x"}, "page_url must be https"),
        ("payfip", {"route": "treasury", "partial": {"allowed": True}}, "partial"),
        ("tipi", {"saisie": "W"}, "saisie"),
        ("tipi", {"route": "regie"}, "route"),
        ("tipi", {"maximum_cents": 10_000_00}, "minimum_cents and maximum_cents"),
    ],
)
def test_names_the_field_that_is_wrong_and_not_its_value(
    tmp_path: Path, kind: str, changes: dict[str, object], place: str
) -> None:
    """F37: a service with half a configuration does not start."""
    with pytest.raises(SettingsError, match=place) as raised:
        read_accounts(a_file(tmp_path, a_row(kind, **changes)))

    assert "provider accounts" in str(raised.value)
    for key in (KEY, PAYBOX_KEY, SIPS_KEY, SHA_IN, MOLLIE_KEY):
        assert key not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://secure.payzen.eu/vads-payment/",
        "http://127.0.0.1.example/vads-payment/",
        "http://10.0.0.1/",
        "https://user@secure.payzen.eu/",
        "https://secure.payzen.eu/?a=1",
        "https://secure.payzen.eu/#a",
        "https:///vads-payment/",
        "https://[::1/",
    ],
)
def test_an_address_outside_this_machine_is_https_and_nothing_but_an_address(
    tmp_path: Path, url: str
) -> None:
    """Orders and answers of payments do not travel in the clear."""
    with pytest.raises(SettingsError, match="service_url"):
        read_accounts(a_file(tmp_path, a_row(service_url=url)))


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080/x", "http://[::1]:8080/x", "http://localhost:8080/x"]
)
def test_an_address_on_this_machine_may_be_http(tmp_path: Path, url: str) -> None:
    """Simulators stand there."""
    for kind in EVERY_KIND:
        [account] = read_accounts(a_file(tmp_path, a_row(kind, service_url=url)))
        assert url == account.service_url


@pytest.mark.parametrize("kind", ["paybox", "sips", "ogone"])
def test_the_mode_says_which_address_is_meant_unless_one_is_given(kind: str) -> None:
    """A test never reaches the real address by default, nor the other way round."""
    real = {"mode": "PRODUCTION"} | ({"notify_token": "t" * 32} if kind == "paybox" else {})
    test, production = EVERY_KIND[kind], changed(EVERY_KIND[kind], **real)

    urls = [account.url for account in (test, production)]  # type: ignore[union-attr]

    assert 2 == len(set(urls))
    assert [True, False] == ["test" in url or "preprod" in url or "simu" in url for url in urls]


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"\xff", b"[1]"])
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


def test_a_regie_has_one_account_for_each_route_and_any_that_ended(tmp_path: Path) -> None:
    """Its own takings go one way, what the treasury collects another."""
    rows = [
        a_row(account="regie"),
        a_row("payfip", account="titres", route="treasury"),
        a_row("sips", account="before", active=False),
        a_row("ogone", account="long-before", active=False),
    ]

    assert 4 == len(read_accounts(a_file(tmp_path, *rows)))


def test_an_account_that_ended_starts_nothing_and_still_hears() -> None:
    """D5: after a change of provider, old attempts end on the old account."""
    before = changed(EVERY_KIND["sips"], account="before", active=False)
    providers = configured(before, an_account())

    assert "saint-aubin-carte" == name_of(providers.for_regies("saint-aubin", {"CANTINE"}))
    assert "before" == name_of(providers.by_account("sips", "before"))
    assert configured(before).for_regies("saint-aubin", {"CANTINE"}) is None


def test_a_regie_with_an_account_of_its_own_does_not_use_the_common_one() -> None:
    """The more exact account wins."""
    own = an_account(account="creche", regies=("CRECHE",))
    providers = configured(an_account(), own)

    assert "creche" == name_of(providers.for_regies("saint-aubin", {"CRECHE"}))
    assert "saint-aubin-carte" == name_of(providers.for_regies("saint-aubin", {"CANTINE"}))


def test_the_route_says_which_account_is_meant() -> None:
    """A debt of the treasury never goes to a régie's account, nor the other way round."""
    titres = a_tipi_contract(account="titres")
    providers = configured(an_account(), titres)

    assert "titres" == name_of(providers.for_regies("saint-aubin", {"CANTINE"}, "treasury"))
    assert "saint-aubin-carte" == name_of(providers.for_regies("saint-aubin", {"CANTINE"}))
    assert configured(an_account()).for_regies("saint-aubin", {"CANTINE"}, "treasury") is None


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

    assert "saint-aubin-carte" == name_of(providers.by_account("lyra", "saint-aubin-carte"))
    assert providers.by_account("lyra", "autre") is None
    assert providers.by_account("paybox", "saint-aubin-carte") is None


def test_every_kind_has_its_provider_with_its_own_notice_address() -> None:
    """The name of the kind is that of the provider, in addresses and events."""
    accounts = [changed(account, account=kind) for kind, account in EVERY_KIND.items()]
    providers = configured(*accounts)

    found = {kind: providers.by_account(kind, kind) for kind in EVERY_KIND}

    assert list(EVERY_KIND) == [provider.name for provider in found.values() if provider]
    paybox = found["paybox"]
    assert paybox is not None
    fields = done(paybox.prepare(an_order())).form.fields
    assert "https://payer.example/payments/notify/paybox/paybox" == fields["PBX_REPONDRE_A"]


def test_says_what_each_provider_can_do() -> None:
    """What payment's rules need to know before it opens an attempt."""
    rules = {kind: account.rules for kind, account in EVERY_KIND.items()}

    assert {"mollie", "payfip"} == {kind for kind, rule in rules.items() if rule.can_be_asked}
    needs_email = {kind for kind, rule in rules.items() if rule.needs_email}
    assert {"paybox", "payfip", "tipi"} == needs_email
    assert {"tipi"} == {kind for kind, rule in rules.items() if not rule.takes_several}


@pytest.mark.parametrize("account", EVERY_KIND.values(), ids=EVERY_KIND)
def test_an_account_shows_its_name_and_never_a_key(account: Account) -> None:
    """S26: this is what ends up in logs."""
    assert f"{type(account).__name__}({account.account!r})" == repr(account)
