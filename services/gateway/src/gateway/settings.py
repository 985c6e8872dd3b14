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
    payment_page_origins: str = ""
    """Origins, space-separated, of the payment pages to which payers are handed over."""
    trusted_proxies: str = ""
    """Networks, space-separated, of the proxies before us, whose X-Forwarded-For is believed."""
    tidy_interval_seconds: float = 900.0
    """Pause between two clean-ups of ended sessions, counted attempts and the inbox."""
    cookie_secure: bool = True
    """Off only where the portal is served without TLS: the demo."""
