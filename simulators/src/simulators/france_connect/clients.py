"""The service providers that FranceConnect knows, each by its habilitation."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

SHORTEST_SECRET = 32
SCOPE_CLAIMS = {
    "openid": (),
    "profile": ("given_name", "given_name_array", "family_name", "birthdate", "gender"),
    "birth": ("birthplace", "birthcountry"),
    "identite_pivot": (
        "given_name",
        "given_name_array",
        "family_name",
        "birthdate",
        "gender",
        "birthplace",
        "birthcountry",
    ),
    "given_name": ("given_name", "given_name_array"),
    "family_name": ("family_name",),
    "birthdate": ("birthdate",),
    "gender": ("gender",),
    "birthplace": ("birthplace",),
    "birthcountry": ("birthcountry",),
    "email": ("email",),
}
"""`address` and `phone` are gone in v2."""


class ClientError(Exception):
    """A client is described wrongly on the command line."""


@dataclass(frozen=True, kw_only=True)
class Client:
    """One service provider; its addresses are matched to the letter."""

    client_id: str
    client_secret: str
    redirect_uris: tuple[str, ...]
    logout_uris: tuple[str, ...]
    name: str = "Service de test"
    scopes: frozenset[str] = frozenset({"openid", "identite_pivot", "email"})
    is_userinfo_signed: bool = True

    def __post_init__(self) -> None:
        """Refuse a client that nobody could have been given.

        Raises:
            ClientError: a short secret, an address that is none, or a scope that does not exist.
        """
        if not self.client_id or len(self.client_secret) < SHORTEST_SECRET:
            message = f"client {self.client_id!r} needs a secret of {SHORTEST_SECRET} characters"
            raise ClientError(message)
        for address in (*self.redirect_uris, *self.logout_uris):
            if urlsplit(address).scheme not in ("http", "https"):
                message = f"client {self.client_id}: {address!r} is not an address"
                raise ClientError(message)
        unknown = self.scopes - set(SCOPE_CLAIMS)
        if unknown:
            message = f"client {self.client_id}: unknown scopes {', '.join(sorted(unknown))}"
            raise ClientError(message)


def index_clients(clients: Iterable[Client]) -> dict[str, Client]:
    """Return the clients by id.

    Raises:
        ClientError: the same id twice.
    """
    found: dict[str, Client] = {}
    for client in clients:
        if client.client_id in found:
            message = f"client {client.client_id} is described twice"
            raise ClientError(message)
        found[client.client_id] = client
    return found
