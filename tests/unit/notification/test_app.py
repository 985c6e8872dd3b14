"""Settings with which no mail could, or should, leave."""

from pathlib import Path

import pytest
from msgspec.structs import fields, replace

from notification.app import HANDLERS, check_settings
from notification.settings import Settings
from shared.errors import SettingsError
from shared.events import EVENTS

GOOD = Settings(
    database_url="postgresql://localhost/notification",
    kafka_bootstrap_servers="localhost:9092",
    http_port=8080,
    smtp_host="mail.exemple.test",
    mail_sender_address="ne-pas-repondre@exemple.test",
    public_url="https://factures.exemple.test",
    jwks_url="https://factures.exemple.test/.well-known/jwks.json",
    token_issuer="quittance-gateway",
)


def test_accepts_the_settings_of_a_town() -> None:
    """STARTTLS on port 587 is what one gets without asking."""
    check_settings(GOOD)

    assert (GOOD.smtp_port, GOOD.smtp_security) == (587, "starttls")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"mail_sender_address": "Mairie"}, "MAIL_SENDER_ADDRESS"),
        ({"smtp_security": "none", "smtp_username": "mairie"}, "SMTP_SECURITY"),
        ({"public_url": "javascript:alert(1)"}, "PUBLIC_URL"),
        ({"smtp_connections": 0}, "SMTP_CONNECTIONS"),
        ({"messages_kept_days": 34}, "MESSAGES_KEPT_DAYS"),
    ],
)
def test_refuses_settings_that_cannot_work(changes: dict[str, object], named: str) -> None:
    """Said at the start, with the name of the variable."""
    with pytest.raises(SettingsError, match=named):
        check_settings(replace(GOOD, **changes))


def test_handles_exactly_what_the_events_say_it_consumes() -> None:
    """A declared event without a handler would be lost without a word."""
    declared = {event for event in EVENTS.values() if "notification" in event.CONSUMERS}

    assert set(HANDLERS) == declared


def test_documents_every_setting() -> None:
    """A setting that the README does not name does not exist for an operator."""
    folder = Path(__file__).parents[3] / "services" / "notification"
    readme = (folder / "README.md").read_text("utf-8")

    missing = [f.name for f in fields(Settings) if f"`{f.name.upper()}`" not in readme]

    assert missing == []
