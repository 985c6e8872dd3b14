"""On what terms the portal uses FranceConnect: what the habilitation gave, and what is asked."""

from typing import Any
from urllib.parse import urlsplit

import msgspec

from shared.errors import SettingsError

LEVELS = ("eidas1", "eidas2", "eidas3")
"""eIDAS 910/2014, article 8: low, substantial, high; each is at least the ones before."""
LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What the habilitation gave, and where browsers come back to: both addresses registered."""

    issuer: str
    client_id: str
    client_secret: str
    redirect_uri: str
    logout_uri: str
    acr: str = LEVELS[0]
    is_userinfo_signed: bool = True
    has_pkce: bool = False
    clock_skew_seconds: float = 5.0

    def __post_init__(self) -> None:
        """Refuse what could never work, or would not be safe.

        Raises:
            SettingsError: the issuer has no TLS, or a value is not one that FranceConnect knows.
        """
        parts = urlsplit(self.issuer)
        is_local = parts.scheme == "http" and parts.hostname in LOCAL_HOSTS
        if not is_local and (parts.scheme != "https" or not parts.netloc):
            message = "FRANCECONNECT_ISSUER must start with https://"
            raise SettingsError(message)
        if parts.query or parts.fragment or self.issuer.endswith("/"):
            message = "FRANCECONNECT_ISSUER must be the issuer exactly, without a slash at its end"
            raise SettingsError(message)
        if self.acr not in LEVELS:
            message = f"FRANCECONNECT_ACR must be one of {', '.join(LEVELS)}"
            raise SettingsError(message)
        if not 0 <= self.clock_skew_seconds <= 60:
            message = "FRANCECONNECT_CLOCK_SKEW_SECONDS must be 0 to 60: tokens live 60 seconds"
            raise SettingsError(message)


def terms_of(
    *,
    issuer: str,
    client_id: str,
    client_secret: str,
    redirect_uri: str,
    logout_uri: str,
    **options: Any,  # noqa: ANN401 - the fields of Terms that have a default
) -> Terms | None:
    """Return the terms, or None when nothing of the habilitation is set.

    Raises:
        SettingsError: it is set by half, or could not work.
    """
    given = {
        "FRANCECONNECT_ISSUER": issuer,
        "FRANCECONNECT_CLIENT_ID": client_id,
        "FRANCECONNECT_CLIENT_SECRET": client_secret,
    }
    missing = [name for name, value in given.items() if not value]
    if len(missing) == len(given):
        return None
    if missing:
        message = f"FranceConnect is set by half: {', '.join(missing)} missing"
        raise SettingsError(message)
    return Terms(
        issuer=issuer,
        client_id=client_id,
        client_secret=client_secret,
        redirect_uri=redirect_uri,
        logout_uri=logout_uri,
        **options,
    )
