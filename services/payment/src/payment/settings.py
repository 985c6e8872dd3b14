"""What payment reads from its environment."""

from shared.environment import CommonSettings


class Settings(CommonSettings, frozen=True, kw_only=True):
    """Payment's settings, beside those of every service."""

    jwks_url: str
    """Where the gateway publishes its keys."""
    token_issuer: str
    """Issuer that access tokens must name."""
    public_notify_url: str
    """Address under which the providers reach this service."""
    provider_accounts_file: str
    """JSON file with the accounts and their keys, mounted as a secret."""
    provider_sealing_keys: str | None = None
    """Opens sealed keys of that file; several, the newest first, while one replaces another."""
    attempt_lifetime_seconds: int = 1200
    """How long an attempt holds its invoices; longer where the provider's page lives longer."""
    expiry_interval_seconds: float = 30.0
    """Pause between two looks for attempts to close."""
    ask_concurrency: int = 8
    """How many questions to providers run side by side."""
