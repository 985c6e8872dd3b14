"""Who somebody is for the State: the pivot identity that FranceConnect tells, and to whom it is."""

from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

import msgspec

from shared.errors import PermanentError, TransientError


class Pivot(msgspec.Struct, frozen=True, kw_only=True):
    """The six fields of the pivot identity (FranceConnect v2, scope `identite_pivot`).

    `birthdate` is `YYYY-MM-DD`, or partial (`YYYY-MM-00`) for who was born on a day nobody knows;
    `birthplace` is the INSEE code of the commune, empty for who was born abroad; `birthcountry` the
    INSEE code of the country (`99100` is France).
    """

    family_name: str
    given_names: tuple[str, ...]
    birthdate: str
    gender: str
    birthplace: str
    birthcountry: str


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What FranceConnect told of who came back, after every check.

    `email` is what somebody typed elsewhere: a suggestion, never a proof. `sealed_token` is what
    FranceConnect wants to see again when the session ends; only the adapter can open it.
    """

    subject: str
    pivot: Pivot
    email: str
    sealed_token: bytes


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """The identity of an account, as FranceConnect told it last."""

    issuer: str
    subject: str
    account_id: UUID
    pivot: Pivot
    suggested_email: str
    linked_at: datetime
    told_at: datetime


class Purpose(StrEnum):
    """Why a browser left for FranceConnect."""

    LOGIN = "login"
    LINK = "link"
    """To tie the identity to the account that is logged in."""
    CONFIRM = "confirm"
    """To prove once more that it is the same person, before something that matters."""
    LOGOUT = "logout"


class Journey(msgspec.Struct, frozen=True, kw_only=True):
    """A browser that left for FranceConnect; `account_id` is who was logged in, where it counts."""

    purpose: Purpose
    following: str
    nonce: str = ""
    verifier: str = ""
    account_id: UUID | None = None


class IdentityUnavailableError(TransientError):
    """FranceConnect does not answer, or not in time, or says that it is down."""

    slug = "identity-unavailable"


class IdentityRefusedError(PermanentError):
    """FranceConnect's answer does not pass a check; `reason` is its stable name."""

    slug = "identity-refused"

    def __init__(self, reason: str, detail: str = "") -> None:
        """Keep the `reason`, and what the log should tell beside it."""
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class IdentityProvider(Protocol):
    """FranceConnect, as far as the pages need it.

    All that is asked of it raises:
        IdentityUnavailableError: it cannot be reached or does not answer as it should.
    """

    @property
    def issuer(self) -> str:
        """Its name, which is one half of an identity's key; the subject is the other."""
        ...

    @property
    def origin(self) -> str:
        """Where forms may lead browsers."""
        ...

    def new_verifier(self) -> str:
        """Return what proves later that the code was asked from here; empty without PKCE."""
        ...

    async def authorize_url(self, state: str, nonce: str, verifier: str) -> str:
        """Return where to send a browser that wants to prove who it is."""
        ...

    async def identify(self, code: str, nonce: str, verifier: str, told_issuer: str | None) -> Told:
        """Return who came back with `code`; `told_issuer` is what the address said beside it.

        Raises:
            IdentityRefusedError: the code is spent or late, or an answer does not pass a check.
        """
        ...

    async def logout_url(self, sealed_token: bytes, state: str) -> str | None:
        """Return where to send a browser that leaves, or None when the token cannot be opened."""
        ...


class Identities(Protocol):
    """Identities and journeys, within one transaction."""

    async def depart(self, state: str, browser: str, journey: Journey, now: datetime) -> None:
        """Remember a browser that leaves, under a secret state, for ten minutes."""
        ...

    async def arrive(self, state: str, browser: str, now: datetime) -> Journey | None:
        """Return the journey that ends here, once; None for any other browser, state or hour."""
        ...

    async def find_identity(self, issuer: str, subject: str) -> Identity | None:
        """Return an identity, kept from being linked by anybody else until the end; or None."""
        ...

    async def identity_of(self, account_id: UUID) -> Identity | None:
        """Return the identity of an account, or None."""
        ...

    async def open_account_of_identity(self, account_id: UUID, now: datetime) -> None:
        """Open an account that has neither an address nor a password."""
        ...

    async def keep_identity(self, issuer: str, told: Told, account_id: UUID, now: datetime) -> bool:
        """Keep what was told; False when the account or the identity is another's already."""
        ...

    async def drop_identity(self, account_id: UUID) -> bool:
        """Unlink; False when the account has no other way in, and then nothing changes."""
        ...

    async def drop_identity_since(self, account_id: UUID, since: datetime) -> None:
        """Unlink the identity that an account got from a moment on, if it did."""
        ...

    async def end_sessions_by(self, account_id: UUID, method: str) -> None:
        """End the sessions of an account that were opened in one way."""
        ...

    async def has_other_way_in(self, account_id: UUID) -> bool:
        """Tell whether an account can be entered without FranceConnect."""
        ...

    async def seal_session(self, secret: str, sealed_token: bytes) -> None:
        """Keep the sealed token of a session."""
        ...

    async def take_sealed_token(self, secret: str) -> bytes | None:
        """Return a session's sealed token and forget it, or None: it logs out once."""
        ...
