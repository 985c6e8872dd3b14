"""Second factors, sessions and browsers of a person: in which shapes, within one transaction."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

import msgspec

FactorKind = Literal["totp", "passkey"]


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """Whose a factor, a session or a browser is: a citizen's or an agent's, one of the two."""

    account_id: UUID | None = None
    login: str | None = None

    @property
    def is_agent(self) -> bool:
        """Whether it is an agent."""
        return self.login is not None

    @property
    def name(self) -> str:
        """One text for one owner, under which attempts are counted."""
        return f"agent {self.login}" if self.is_agent else f"account {self.account_id}"


class Factor(msgspec.Struct, frozen=True, kw_only=True):
    """A second factor as its owner sees it."""

    factor_id: UUID
    kind: FactorKind
    label: str
    created_at: datetime
    used_at: datetime | None


class TotpFactor(msgspec.Struct, frozen=True, kw_only=True):
    """An application that makes codes; `last_period` is the last one whose code was used."""

    factor_id: UUID
    sealed_secret: bytes
    last_period: int


class PasskeyFactor(msgspec.Struct, frozen=True, kw_only=True):
    """A passkey and what its signatures are checked with."""

    factor_id: UUID
    owner: Owner
    credential_id: bytes
    public_key: bytes
    sign_count: int


class NewPasskey(msgspec.Struct, frozen=True, kw_only=True):
    """A passkey that was just made."""

    credential_id: bytes
    public_key: bytes
    sign_count: int


class PendingLogin(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who proved one thing and owes a second one; `following` is where they were going."""

    owner: Owner
    method: str
    following: str


class SessionView(msgspec.Struct, frozen=True, kw_only=True):
    """A session as its owner sees it."""

    session_id: UUID
    method: str
    browser: str
    subscriber: str
    created_at: datetime
    seen_at: datetime
    is_this: bool


class KnownBrowser(msgspec.Struct, frozen=True, kw_only=True):
    """A browser from which somebody signed in."""

    browser_id: UUID
    browser: str
    first_seen_at: datetime
    seen_at: datetime
    is_this: bool


class Sealer(Protocol):
    """Seals what is kept."""

    def seal(self, content: bytes) -> bytes:
        """Return what may be kept."""
        ...

    def open(self, sealed: bytes) -> bytes | None:
        """Return what was sealed, or None."""
        ...

    def is_newest(self, sealed: bytes) -> bool:
        """Tell whether the key in use sealed this."""
        ...


class Factors(Protocol):
    """Second factors and what leads to them; whose they are is part of every question."""

    async def factors(self, owner: Owner) -> list[Factor]:
        """Return somebody's second factors, oldest first."""
        ...

    async def lock_owner(self, owner: Owner) -> None:
        """Let changes of one person's factors queue up behind each other."""
        ...

    async def totp_factors(self, owner: Owner) -> list[TotpFactor]:
        """Return somebody's applications that make codes."""
        ...

    async def passkeys(self, owner: Owner) -> list[PasskeyFactor]:
        """Return somebody's passkeys."""
        ...

    async def find_passkey(self, credential_id: bytes) -> PasskeyFactor | None:
        """Return the passkey of that id, whoever owns it, or None."""
        ...

    async def add_totp(
        self, owner: Owner, label: str, sealed_secret: bytes, period: int, now: datetime
    ) -> None:
        """Keep an application, whose code of `period` has just been used."""
        ...

    async def add_passkey(
        self, owner: Owner, label: str, passkey: NewPasskey, now: datetime
    ) -> bool:
        """Keep a passkey; False when somebody has it already."""
        ...

    async def use_totp(self, factor_id: UUID, period: int, now: datetime) -> bool:
        """Use the code of a period up; False when it, or a later one, was used before."""
        ...

    async def use_passkey(self, factor_id: UUID, sign_count: int, now: datetime) -> None:
        """Note that a passkey signed, and how often it says that it did."""
        ...

    async def remove_factor(self, owner: Owner, factor_id: UUID) -> Factor | None:
        """Forget a factor of somebody's; None when they have no such one."""
        ...

    async def remove_factors_since(self, account_id: UUID, since: datetime) -> None:
        """Forget the factors that an account got from a moment on."""
        ...

    async def has_way_in(self, owner: Owner) -> bool:
        """Tell whether something still lets somebody in: a password, FranceConnect, a passkey."""
        ...

    async def set_recovery_codes(self, owner: Owner, codes: Sequence[str]) -> None:
        """Keep new recovery codes, as digests; the earlier ones open nothing any more."""
        ...

    async def use_recovery_code(self, owner: Owner, code: str, now: datetime) -> bool:
        """Use a recovery code up; False when it is not one, or was used before."""
        ...

    async def recovery_codes_left(self, owner: Owner) -> int:
        """Return how many recovery codes still open."""
        ...

    async def open_pending(self, secret: str, pending: PendingLogin, now: datetime) -> None:
        """Note who owes a second factor, under a secret that is kept as a digest."""
        ...

    async def pending(self, secret: str, now: datetime) -> PendingLogin | None:
        """Return who owes a second factor, unless it is too long ago."""
        ...

    async def end_pending(self, secret: str) -> bool:
        """Forget that somebody owes a second factor; False when it was forgotten before."""
        ...

    async def start_totp(self, holder: str, sealed_secret: bytes, now: datetime) -> None:
        """Keep what an application is shown, for the session of secret `holder` alone."""
        ...

    async def started_totp(self, holder: str, now: datetime) -> bytes | None:
        """Return the sealed secret that was shown under this session, or None."""
        ...

    async def end_totp_start(self, holder: str) -> bool:
        """Forget what was shown, since it is confirmed; False when it was forgotten before."""
        ...

    async def spend_challenge(self, challenge: bytes, now: datetime) -> bool:
        """Note that a challenge was answered; False when it was before."""
        ...


class Sessions(Protocol):
    """Where somebody is logged in, and from which browsers they have been."""

    async def sessions(self, owner: Owner, secret: str, now: datetime) -> list[SessionView]:
        """Return somebody's sessions that have not ended, this one (of `secret`) first."""
        ...

    async def end_session_of(self, owner: Owner, session_id: UUID) -> bool:
        """End a session of somebody's; False when they have no such one."""
        ...

    async def end_other_sessions(self, owner: Owner, secret: str) -> int:
        """End all of somebody's sessions but the one of `secret`, and logins half made.

        Return how many sessions.
        """
        ...

    async def renew_proof(self, secret: str, new_secret: str, now: datetime) -> bool:
        """Note that its owner proved again who they are, and give the session a new secret."""
        ...

    async def recognise_browser(
        self, owner: Owner, held: str, browser: str, now: datetime
    ) -> tuple[UUID, bool]:
        """Note from which browser somebody signs in; return it, and whether it is new to them."""
        ...

    async def knows_browser(self, owner: Owner, held: str, now: datetime) -> bool:
        """Tell whether somebody signed in from the browser that holds this, within a year."""
        ...

    async def browsers(self, owner: Owner, held: str, now: datetime) -> list[KnownBrowser]:
        """Return the browsers that somebody signed in from, the latest first."""
        ...

    async def forget_browser(self, owner: Owner, browser_id: UUID) -> bool:
        """Forget a browser and end its sessions; False when they have no such one."""
        ...

    async def is_young(self, owner: Owner, since: datetime) -> bool:
        """Tell whether an account was opened after `since`."""
        ...
