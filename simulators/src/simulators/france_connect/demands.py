"""What a service provider may ask for; anything else is refused on a page, not sent back."""

from collections.abc import Mapping
from dataclasses import dataclass

from simulators.france_connect.clients import SCOPE_CLAIMS, Client
from simulators.france_connect.register import Demand

REQUIRED = (
    "client_id",
    "response_type",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "acr_values",
)
OPTIONAL = ("prompt", "claims", "idp_hint", "ui_locales")
PKCE = ("code_challenge", "code_challenge_method")
SHORTEST_NONCE = 22
LEVEL = "eidas1"
PROMPTS = {"login", "consent"}


class DemandError(Exception):
    """A demand that FranceConnect does not take; the sentence is for the page."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What an operator may set."""

    has_pkce: bool = False
    """Takes the two parameters of PKCE, and then holds the client to them."""


def check_demand(
    pairs: list[tuple[str, str]], clients: Mapping[str, Client], rules: Rules
) -> Demand:
    """Return what is asked for.

    Raises:
        DemandError: a parameter is unknown, absent, twice there or not as it should be.
    """
    fields = dict(pairs)
    if len(fields) < len(pairs):
        message = "un paramètre est présent deux fois"
        raise DemandError(message)
    unknown = set(fields) - {*REQUIRED, *OPTIONAL, *(PKCE if rules.has_pkce else ())}
    if unknown:
        message = f"paramètres inconnus : {', '.join(sorted(unknown))}"
        raise DemandError(message)
    missing = [name for name in REQUIRED if not fields.get(name)]
    if missing:
        message = f"paramètres absents : {', '.join(missing)}"
        raise DemandError(message)
    client = clients.get(fields["client_id"])
    if client is None:
        message = "client_id inconnu"
        raise DemandError(message)
    if fields["redirect_uri"] not in client.redirect_uris:
        message = "redirect_uri non enregistrée"
        raise DemandError(message)
    scopes = tuple(fields["scope"].split())
    _check_values(fields, client, scopes)
    return Demand(
        client=client,
        redirect_uri=fields["redirect_uri"],
        scopes=scopes,
        state=fields["state"],
        nonce=fields["nonce"],
        acr=LEVEL,
        challenge=fields.get("code_challenge", ""),
    )


def _check_values(fields: Mapping[str, str], client: Client, scopes: tuple[str, ...]) -> None:
    wrong = {
        "response_type": fields["response_type"] != "code",
        "scope": "openid" not in scopes or not set(scopes) <= set(SCOPE_CLAIMS),
        "nonce": len(fields["nonce"]) < SHORTEST_NONCE,
        "acr_values": LEVEL not in fields["acr_values"].split(),
        "prompt": not set(fields.get("prompt", "").split()) <= PROMPTS,
        "code_challenge_method": "code_challenge" in fields
        and fields.get("code_challenge_method") != "S256",
    }
    found = [name for name, is_wrong in wrong.items() if is_wrong]
    if found:
        message = f"paramètres non valides : {', '.join(found)}"
        raise DemandError(message)
    beyond = set(scopes) - client.scopes
    if beyond:
        message = f"scopes hors de l’habilitation : {', '.join(sorted(beyond))}"
        raise DemandError(message)
