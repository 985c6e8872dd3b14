"""What the gateway reads from its environment."""

from shared.environment import CommonSettings


class Settings(CommonSettings, frozen=True, kw_only=True):
    """The gateway's settings, beside those of every service."""

    public_url: str
    """Address of the portal, as citizens type it."""
    token_issuer: str
    """Name that the tokens carry as their issuer."""
    token_signing_key: str
    """Private key of the tokens: EC P-256, PEM."""
    token_previous_key: str = ""
    """The key before that one, still published while its tokens live."""
    payment_url: str
    """Address of the payment service."""
    publication_url: str
    """Address of the publication service."""
    figures_url: str
    """Address of the live figures."""
    reconciliation_url: str
    """Address of the reconciliation service."""
    notification_url: str
    """Address of the notification service."""
    payment_page_origins: str = ""
    """Origins, space-separated, of the payment pages to which payers are handed over."""
    trusted_proxies: str = ""
    """Networks, space-separated, of the proxies before us, whose X-Forwarded-For is believed."""
    tidy_interval_seconds: float = 900.0
    """Pause between two clean-ups of ended sessions, counted attempts and the inbox."""
    franceconnect_issuer: str = ""
    """Issuer of FranceConnect v2, exactly as its discovery names it; empty: no FranceConnect."""
    franceconnect_client_id: str = ""
    """Client id that the habilitation gave."""
    franceconnect_client_secret: str = ""
    """Secret of that client."""
    franceconnect_signed_userinfo: bool = True
    """Off only for the sandbox, whose clients get an unsigned userinfo by default."""
    franceconnect_acr: str = "eidas1"
    """Least level of assurance: eidas1, or eidas2 and eidas3 where the habilitation has them."""
    franceconnect_pkce: bool = False
    """Sends a code challenge; only after a trial, as FranceConnect may refuse what it knows not."""
    franceconnect_clock_skew_seconds: float = 5.0
    """How far this clock and FranceConnect's may differ; its tokens live 60 seconds."""
    cookie_secure: bool = True
    """Off only where the portal is served without TLS: the demo."""
