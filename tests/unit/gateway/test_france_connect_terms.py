"""What the settings of FranceConnect must say, and what is kept of its answers."""

import aiohttp
import pytest

from gateway.adapters.france_connect_answers import Userinfo, pivot_of, suggested_email
from gateway.adapters.france_connect_terms import Terms, terms_of
from gateway.api.site import Site
from gateway.app import site_of_settings, with_france_connect
from gateway.ports.identity import Pivot
from shared.clock import FixedClock
from shared.errors import SettingsError
from tests.unit.gateway.door import NOW
from tests.unit.gateway.state import some_terms
from tests.unit.gateway.test_rules import NoLookups, no_portal, settings

GIVEN = {
    "issuer": "https://oidc.franceconnect.gouv.fr/api/v2",
    "client_id": "portail",
    "client_secret": "secret",
}


def terms(**changes: str) -> Terms | None:
    return terms_of(redirect_uri="r", logout_uri="l", **(GIVEN | changes))


def test_without_settings_there_is_no_franceconnect() -> None:
    """All three empty."""
    assert terms(issuer="", client_id="", client_secret="") is None


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"issuer": ""}, "FRANCECONNECT_ISSUER missing"),
        ({"client_secret": ""}, "FRANCECONNECT_CLIENT_SECRET missing"),
        (
            {"client_id": "", "client_secret": ""},
            "FRANCECONNECT_CLIENT_ID, FRANCECONNECT_CLIENT_SECRET missing",
        ),
    ],
)
def test_settings_by_half_stop_the_start(changes: dict[str, str], missing: str) -> None:
    """Else the button would lead to an error."""
    with pytest.raises(SettingsError, match=missing):
        terms(**changes)


@pytest.mark.parametrize(
    "issuer",
    [
        "http://oidc.franceconnect.gouv.fr/api/v2",
        "oidc.franceconnect.gouv.fr/api/v2",
        "https:///api/v2",
        "https://oidc.franceconnect.gouv.fr/api/v2/",
        "https://oidc.franceconnect.gouv.fr/api/v2?x=1",
        "https://oidc.franceconnect.gouv.fr/api/v2#x",
        "javascript:alert(1)",
    ],
)
def test_an_issuer_that_is_none_stops_the_start(issuer: str) -> None:
    """TLS but on this machine, and exactly as it names itself."""
    with pytest.raises(SettingsError, match="FRANCECONNECT_ISSUER"):
        some_terms(issuer)


@pytest.mark.parametrize("issuer", ["http://127.0.0.1:8092/api/v2", "http://localhost/api/v2"])
def test_a_simulator_on_this_machine_needs_no_tls(issuer: str) -> None:
    """The demo."""
    assert some_terms(issuer).issuer == issuer


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"acr": "eidas0"}, "FRANCECONNECT_ACR"),
        ({"acr": ""}, "FRANCECONNECT_ACR"),
        ({"clock_skew_seconds": -1.0}, "FRANCECONNECT_CLOCK_SKEW_SECONDS"),
        ({"clock_skew_seconds": 61.0}, "FRANCECONNECT_CLOCK_SKEW_SECONDS"),
        ({"clock_skew_seconds": float("nan")}, "FRANCECONNECT_CLOCK_SKEW_SECONDS"),
    ],
)
def test_a_value_that_franceconnect_does_not_know_stops_the_start(
    changes: dict[str, object], name: str
) -> None:
    """And the message names the variable."""
    with pytest.raises(SettingsError, match=name):
        some_terms(GIVEN["issuer"], **changes)


async def test_the_settings_make_the_site_know_franceconnect() -> None:
    """Its origin is one of those that forms may lead to; without settings it is not."""
    described = {f"franceconnect_{name}": value for name, value in GIVEN.items()}
    async with aiohttp.ClientSession() as session:

        def site(**changes: str) -> Site:
            read = settings(**changes)
            made = site_of_settings(read, no_portal, NoLookups(), FixedClock(NOW))
            return with_france_connect(made, read, session)

        with_it, without = site(**described), site()

    assert with_it.france_connect is not None
    assert with_it.france_connect.issuer == GIVEN["issuer"]
    assert with_it.form_origins[-1] == "https://oidc.franceconnect.gouv.fr"
    assert without.france_connect is None
    assert without.form_origins == without.payment_origins


def test_given_names_come_from_the_array_or_from_the_text() -> None:
    """A compound name stays one."""
    in_array = Userinfo(sub="s", given_name="A B", given_name_array=["Jean-Yves", "Marie Ange"])
    in_text = Userinfo(sub="s", given_name="Jean-Yves Yann")

    assert pivot_of(in_array).given_names == ("Jean-Yves", "Marie Ange")
    assert pivot_of(in_text).given_names == ("Jean-Yves", "Yann")


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("1984-05-17", "1984-05-17"),
        ("1962", "1962-00-00"),
        ("1962-03", "1962-03-00"),
        ("1962-00-00", "1962-00-00"),
        ("17/05/1984", "17/05/1984"),
        (None, ""),
    ],
)
def test_a_partial_date_of_birth_has_one_form(told: str | None, kept: str) -> None:
    """OpenID Connect Core 5.1 lets a year stand alone."""
    assert pivot_of(Userinfo(sub="s", birthdate=told)).birthdate == kept


def test_what_was_not_told_is_empty() -> None:
    """Not granted, or not known."""
    assert pivot_of(Userinfo(sub="s")) == Pivot(
        family_name="",
        given_names=(),
        birthdate="",
        gender="",
        birthplace="",
        birthcountry="",
    )


def test_what_cannot_be_kept_is_left_out() -> None:
    """PostgreSQL holds no NUL, and no name has a line break."""
    person = Userinfo(sub="s", family_name="MAR\x00TIN ", gender="fe\nmale")

    assert (pivot_of(person).family_name, pivot_of(person).gender) == ("MARTIN", "")


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("camille@example.org", "camille@example.org"),
        ("camille", ""),
        ("a@b\r\nBcc: c@d", ""),
        ("x" * 250 + "@example.org", ""),
        (None, ""),
    ],
)
def test_an_address_that_cannot_be_one_is_not_suggested(told: str | None, kept: str) -> None:
    """It is a suggestion, never more."""
    assert suggested_email(Userinfo(sub="s", email=told)) == kept
