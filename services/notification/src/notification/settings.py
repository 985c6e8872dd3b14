"""What notification reads from its environment."""

import socket
from typing import Literal

from shared.environment import CommonSettings


class Settings(CommonSettings, frozen=True, kw_only=True):
    """Notification's settings, beside those of every service."""

    smtp_host: str
    """Mail server that takes our messages."""
    smtp_port: int = 587
    """Its port: 587 with STARTTLS, 465 with implicit TLS."""
    smtp_security: Literal["none", "starttls", "tls"] = "starttls"
    """`none` only for a server on the same machine or behind a private network."""
    smtp_username: str = ""
    """Account on the mail server; empty when it asks for none."""
    smtp_password: str = ""
    """Password of that account; never sent without TLS."""
    smtp_ca_file: str = ""
    """Certificate authority of the mail server, when it is not a public one."""
    smtp_connections: int = 4
    """Connections kept open for mails about invoices; letters about accounts have one more."""
    mail_sender_address: str
    """Address that mails come from; bounces return to it."""
    mail_sender_name: str = ""
    """Name shown as the sender; empty for the name of the authority that writes."""
    public_url: str
    """Address of the portal, at the start of every link."""
    jwks_url: str
    """Where the gateway publishes its keys."""
    token_issuer: str
    """Issuer that access tokens must name."""
    vapid_private_key: str = ""
    """EC P-256 key that push services know us by (RFC 8292), PEM or base64url; empty: no pushes."""
    vapid_contact: str = ""
    """`mailto:` or `https:` address at which push services reach the operator."""
    push_hosts: str = (
        "fcm.googleapis.com,updates.push.services.mozilla.com,*.push.apple.com,*.notify.windows.com"
    )
    """The only push services that are called, by comma; `*.example.fr` is all below it."""
    push_allow_private: bool = False
    """Whether private addresses, and http to loopback, may be called: in a demo or a test only."""
    push_services_at_once: int = 8
    """Push services spoken to at the same time; each gets one batch at a time."""
    instance_name: str = socket.gethostname()
    """Name of this replica, the same after a restart: it takes back its own claims at once."""
    tidy_interval_seconds: float = 3600.0
    """Pause between two removals of what is not kept any longer."""
    messages_kept_days: int = 400
    """How long what was said is known, by letter and by push: whom, when, and what was answered."""
