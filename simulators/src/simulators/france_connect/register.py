"""Who is logging in, with which codes and tokens; how long each lives."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from simulators.france_connect.clients import Client
from simulators.france_connect.persons import Person

CODE_LIVES = timedelta(seconds=30)
TOKEN_LIVES = timedelta(seconds=60)
SESSION_LIVES = timedelta(minutes=30)
"""As in the configuration of `core-fcp-low`."""


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What a service provider's browser asked for, checked."""

    client: Client
    redirect_uri: str
    scopes: tuple[str, ...]
    state: str
    nonce: str
    acr: str
    challenge: str = ""


@dataclass(kw_only=True)
class Login:
    """One way through FranceConnect: from the page to the end of the session."""

    interaction: str
    demand: Demand
    started_at: datetime
    person: Person | None = None
    is_refused: bool = False
    code: str = ""
    code_at: datetime | None = None
    is_redeemed: bool = False
    access_token: str = ""
    token_at: datetime | None = None
    session: str = ""
    ended_at: datetime | None = None
    faults: list[str] = field(default_factory=list)


class Register:
    """Every login since the start, in memory."""

    def __init__(self) -> None:
        """Start empty."""
        self._logins: dict[str, Login] = {}

    def logins(self) -> Iterator[Login]:
        """Return every login, the oldest first."""
        return iter(self._logins.values())

    def start(self, demand: Demand, now: datetime) -> Login:
        """Open the page for a demand."""
        login = Login(interaction=secrets.token_urlsafe(16), demand=demand, started_at=now)
        self._logins[login.interaction] = login
        return login

    def waiting(self, interaction: str, now: datetime) -> Login | None:
        """Return a login whose person has not chosen yet, or None."""
        login = self._logins.get(interaction)
        if login is None or now - login.started_at > SESSION_LIVES:
            return None
        return login if login.person is None and not login.is_refused else None

    def choose(self, login: Login, person: Person, now: datetime) -> str:
        """Log a person in; return the code."""
        login.person, login.session = person, secrets.token_urlsafe(16)
        login.code, login.code_at = secrets.token_urlsafe(32), now
        return login.code

    def redeem(self, code: str, client: Client, redirect_uri: str, now: datetime) -> Login | None:
        """Return the login of a code and give it an access token; None for any other code.

        A code that comes a second time ends the token of the first (RFC 6749, 4.1.2).
        """
        login = next((one for one in self.logins() if code and one.code == code), None)
        if login is None or login.demand.client != client or login.code_at is None:
            return None
        if login.is_redeemed:
            login.access_token = ""
            return None
        if login.demand.redirect_uri != redirect_uri or now - login.code_at > CODE_LIVES:
            return None
        login.is_redeemed = True
        login.access_token, login.token_at = secrets.token_urlsafe(32), now
        return login

    def by_access_token(self, token: str, now: datetime) -> Login | None:
        """Return the login of an access token that lives, or None."""
        login = next((one for one in self.logins() if token and one.access_token == token), None)
        if login is None or login.token_at is None or now - login.token_at > TOKEN_LIVES:
            return None
        return login

    def end(self, client_id: str, subject: str, now: datetime) -> int:
        """End a person's sessions of one client; return how many were open."""
        ended = 0
        for login in self.logins():
            is_theirs = (
                login.demand.client.client_id == client_id
                and login.person is not None
                and login.person.subject(client_id) == subject
            )
            if is_theirs and login.session and login.ended_at is None:
                login.ended_at = now
                ended += 1
        return ended
