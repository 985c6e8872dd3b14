"""Where the doors are and who calls: what wins, and what is refused."""

import json
import sys
from pathlib import Path

import pytest

from quittance_client import profile
from quittance_client.errors import SettingsError
from tests.unit.client.conftest import a_console

FULL = {
    "QUITTANCE_URL": "https://factures.example.org/",
    "QUITTANCE_CLIENT_ID": "facturation",
    "QUITTANCE_CLIENT_SECRET": "of-the-environment",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return the path of a file of profiles."""
    return tmp_path / "config" / "config.toml"


def test_one_address_serves_for_everything() -> None:
    """Most authorities have one host."""
    found = profile.load({**FULL, "QUITTANCE_CONFIG": "none"})

    assert found.deposits_url == "https://factures.example.org"
    assert found.collections_url == "https://factures.example.org"
    assert found.token_url == "https://factures.example.org/oauth/token"
    assert (found.client_id, found.read_secret()) == ("facturation", "of-the-environment")


def test_each_door_may_have_an_address_of_its_own() -> None:
    """A more precise name beside the one address wins."""
    environment = {**FULL, "QUITTANCE_CONFIG": "none"}

    found = profile.load({**environment, "QUITTANCE_TOKEN_URL": "https://portail.example.org/t"})

    assert found.token_url == "https://portail.example.org/t"
    assert found.deposits_url == "https://factures.example.org"


def test_options_win_over_variables_and_variables_over_the_file(file: Path) -> None:
    """The closer to the command, the stronger; what is not said again stays."""
    settings = {"url": "https://of-the-file.example", "client_id": "a", "client_secret": "b"}
    profile.keep(file, "default", settings)
    environment = {"QUITTANCE_CONFIG": str(file), "QUITTANCE_CLIENT_ID": "of-the-environment"}

    kept = profile.load(environment)
    over = profile.load(environment, url="https://of-the-option.example")

    assert kept.deposits_url == "https://of-the-file.example"
    assert (kept.client_id, kept.read_secret()) == ("of-the-environment", "b")
    assert over.token_url == "https://of-the-option.example/oauth/token"


def test_a_profile_is_kept_for_its_owner_alone_and_beside_the_others(file: Path) -> None:
    """0600, and the other town's profile is still there."""
    profile.keep(
        file,
        "saint-aubin",
        {"url": "https://a.example", "client_id": 'é"\\', "client_secret": "s"},
    )
    profile.keep(
        file, "brume", {"url": "https://b.example", "client_id": "b", "client_secret": "t"}
    )

    found = profile.load({"QUITTANCE_CONFIG": str(file)}, profile="saint-aubin")

    assert file.stat().st_mode & 0o777 == 0o600
    assert (found.client_id, found.read_secret()) == ('é"\\', "s")
    assert [path.name for path in file.parent.iterdir()] == ["config.toml"]


def test_a_secret_that_others_can_read_is_not_used(file: Path) -> None:
    """As ssh does with a key: the sentence says how to mend it."""
    settings = {"url": "https://a.example", "client_id": "a", "client_secret": "s"}
    profile.keep(file, "default", settings)
    file.chmod(0o640)

    with pytest.raises(SettingsError) as refusal:
        profile.load({"QUITTANCE_CONFIG": str(file)})

    assert refusal.value.slug == "file-open-to-all"


def test_a_command_may_give_the_secret(tmp_path: Path) -> None:
    """It runs without a shell, only when a token is needed, and hides a secret kept lower down."""
    script = tmp_path / "script.py"
    script.write_text("import sys; print(sys.argv[1])")
    command = f"{sys.executable} {script} '$HOME ; from a vault'"
    environment = {**FULL, "QUITTANCE_CONFIG": "none", "QUITTANCE_SECRET_COMMAND": command}

    found = profile.load(environment)

    assert found.read_secret() == "$HOME ; from a vault"


@pytest.mark.parametrize("command", ["false", "no-such-program-anywhere", "'unclosed"])
def test_a_command_that_fails_shows_nothing_of_itself(command: str) -> None:
    """Its output might be the secret."""
    environment = {**FULL, "QUITTANCE_CONFIG": "none", "QUITTANCE_SECRET_COMMAND": command}

    with pytest.raises(SettingsError) as refusal:
        profile.load(environment).read_secret()

    assert refusal.value.slug == "secret-command-failed"
    assert command not in str(refusal.value)


def test_a_secret_may_stand_in_a_file_of_its_own(tmp_path: Path) -> None:
    """NAME_FILE, as the services read their secrets."""
    secret = tmp_path / "secret"
    secret.write_text("mounted\n")
    environment = {name: FULL[name] for name in ("QUITTANCE_URL", "QUITTANCE_CLIENT_ID")}
    environment |= {"QUITTANCE_CONFIG": "none", "QUITTANCE_CLIENT_SECRET_FILE": str(secret)}

    assert profile.load(environment).read_secret() == "mounted"


@pytest.mark.parametrize(
    "url",
    [
        "http://factures.example.org",
        "ftp://factures.example.org",
        "factures.example.org",
        "https://",
        "https://user:password@factures.example.org",
        "http://127.0.0.1.example.org",
        "https://[",
    ],
)
def test_a_secret_never_travels_in_the_clear(url: str) -> None:
    """https, or this very machine; and no password within an address."""
    with pytest.raises(SettingsError) as refusal:
        profile.load({**FULL, "QUITTANCE_CONFIG": "none"}, url=url)

    assert refusal.value.slug == "not-tls"
    assert "password" not in str(refusal.value)


def test_the_demo_is_used_from_its_own_file(tmp_path: Path) -> None:
    """--endpoints needs nothing else, and nothing else gets in between."""
    endpoints = tmp_path / "endpoints.json"
    document = {
        "deposits": "http://127.0.0.1:8801",
        "collections": "http://127.0.0.1:8804",
        "token": "http://127.0.0.1:8800/oauth/token",
        "biller": {"client_id": "a", "client_secret": "b"},
    }
    endpoints.write_text(json.dumps(document))

    found = profile.load({**FULL, "QUITTANCE_CONFIG": "none"}, endpoints=endpoints)

    assert (found.deposits_url, found.collections_url, found.token_url) == (
        "http://127.0.0.1:8801",
        "http://127.0.0.1:8804",
        "http://127.0.0.1:8800/oauth/token",
    )
    assert (found.client_id, found.read_secret()) == ("a", "b")


def test_a_profile_does_not_show_its_secret() -> None:
    """Not in a traceback either."""
    assert "of-the-environment" not in repr(profile.load({**FULL, "QUITTANCE_CONFIG": "none"}))


@pytest.mark.parametrize("content", ["{}", "[", '{"deposits": 1, "biller": []}'])
def test_endpoints_that_are_none_are_told(content: str, tmp_path: Path) -> None:
    """A wrong file is named."""
    endpoints = tmp_path / "endpoints.json"
    endpoints.write_text(content)

    with pytest.raises(SettingsError) as refusal:
        profile.load({}, endpoints=endpoints)

    assert refusal.value.slug == "file-unreadable"


def test_what_is_missing_is_told_all_at_once(tmp_path: Path) -> None:
    """One sentence names every setting and how to give it."""
    console = a_console(tmp_path, {})

    code = console("status", "d-1")

    assert code == 2
    assert console.err == (
        "Il manque url, client_id, client_secret. Lancez « quittance configure », ou donnez les"
        " variables QUITTANCE_URL, QUITTANCE_CLIENT_ID, QUITTANCE_CLIENT_SECRET, ou --endpoints.\n"
    )


def test_an_unknown_profile_is_told(tmp_path: Path, file: Path) -> None:
    """A misspelt town is not replaced by another one."""
    profile.keep(file, "default", {"url": "https://a.example", "client_id": "a"})
    console = a_console(tmp_path, {})

    code = console("status", "d-1", "--profile", "sant-aubin")

    assert code == 2
    assert console.err == f"Le profil « sant-aubin » n’est pas dans {file}.\n"


def test_configure_asks_for_what_it_was_not_given(tmp_path: Path, file: Path) -> None:
    """The secret is asked for without echo and is not an option of the command line."""
    console = a_console(tmp_path, {})
    console.typed = "https://factures.example.org\nfacturation\n"

    code = console("configure", "--profile", "saint-aubin")

    found = profile.load({"QUITTANCE_CONFIG": str(file)}, profile="saint-aubin")
    assert code == 0
    assert console.out == f"Profil « saint-aubin » écrit dans {file}.\n"
    assert found.token_url == "https://factures.example.org/oauth/token"
    assert (found.client_id, found.read_secret()) == ("facturation", "asked-for")


def test_configure_takes_everything_from_a_script(tmp_path: Path, file: Path) -> None:
    """Three addresses, and the secret on standard input."""
    console = a_console(tmp_path, {})
    console.typed = "piped\n"
    addresses = {
        "--deposits-url": "https://d.example",
        "--collections-url": "https://c.example",
        "--token-url": "https://t.example/oauth/token",
    }
    options = [part for pair in addresses.items() for part in pair]

    code = console("configure", *options, "--client-id", "f", "--secret-stdin", "--json")

    found = profile.load({"QUITTANCE_CONFIG": str(file)})
    assert code == 0
    assert json.loads(console.out) == {"profile": "default", "path": str(file)}
    assert (found.deposits_url, found.collections_url, found.token_url) == tuple(addresses.values())
    assert found.read_secret() == "piped"
    assert "piped" not in console.out + console.err


def test_configure_refuses_an_address_in_the_clear(tmp_path: Path, file: Path) -> None:
    """Nothing is written then."""
    console = a_console(tmp_path, {})
    console.typed = "piped\n"

    code = console(
        "configure", "--url", "http://factures.example.org", "--client-id", "f", "--secret-stdin"
    )

    assert code == 2
    assert not file.exists()
