"""What FranceConnect answers, in its own words, and what the portal keeps of it."""

import re
from typing import Annotated, TypeVar

import msgspec

from gateway.ports.identity import IdentityUnavailableError, Pivot

T = TypeVar("T")

LONGEST_NAME = 200
MOST_GIVEN_NAMES = 20
LONGEST_ADDRESS = 254
PARTIAL_DATE = re.compile(r"([0-9]{4})(?:-([0-9]{2}))?(?:-([0-9]{2}))?")

Text = Annotated[str, msgspec.Meta(max_length=LONGEST_NAME)]
Subject = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
"""OpenID Connect Core 2: 255 ASCII characters at most."""
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e11)]


class Discovery(msgspec.Struct, frozen=True):
    """Where its doors are (OpenID Connect Discovery 3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    userinfo_endpoint: str
    jwks_uri: str
    end_session_endpoint: str
    authorization_response_iss_parameter_supported: bool = False

    def endpoints(self) -> tuple[str, ...]:
        """Return every door."""
        return (
            self.authorization_endpoint,
            self.token_endpoint,
            self.userinfo_endpoint,
            self.jwks_uri,
            self.end_session_endpoint,
        )


class Tokens(msgspec.Struct, frozen=True):
    """What a code is worth; there is no refresh token."""

    access_token: str
    token_type: str
    id_token: str


class IdToken(msgspec.Struct, frozen=True):
    """The claims that an id token must have."""

    iss: str
    sub: Subject
    aud: str | list[str]
    exp: Seconds
    iat: Seconds
    nonce: str
    acr: str
    azp: str | None = None


class Userinfo(msgspec.Struct, frozen=True):
    """Who it is; the claims of a token stand beside when it is signed."""

    sub: Subject
    family_name: Text | None = None
    given_name: Text | None = None
    given_name_array: Annotated[list[Text], msgspec.Meta(max_length=MOST_GIVEN_NAMES)] | None = None
    birthdate: Text | None = None
    gender: Text | None = None
    birthplace: Text | None = None
    birthcountry: Text | None = None
    email: str | None = None
    iss: str | None = None
    aud: str | list[str] | None = None
    exp: Seconds | None = None
    iat: Seconds | None = None


def read_as(content: bytes, shape: type[T]) -> T:
    """Return an answer in its shape.

    Raises:
        IdentityUnavailableError: it has another.
    """
    try:
        return msgspec.json.decode(content, type=shape)
    except msgspec.DecodeError as error:
        message = f"answer not understood: {error}"
        raise IdentityUnavailableError(message) from error


def pivot_of(person: Userinfo) -> Pivot:
    """Return the pivot identity; what was not told is empty.

    The array has each given name apart; `given_name` alone has them in one text, spaces between.
    """
    names = person.given_name_array or (person.given_name or "").split()
    return Pivot(
        family_name=_kept(person.family_name),
        given_names=tuple(_kept(name) for name in names),
        birthdate=_whole_date(_kept(person.birthdate)),
        gender=_kept(person.gender),
        birthplace=_kept(person.birthplace),
        birthcountry=_kept(person.birthcountry),
    )


def suggested_email(person: Userinfo) -> str:
    """Return the address that was told, empty when it cannot be one."""
    email = _kept(person.email)
    return email if "@" in email and len(email) <= LONGEST_ADDRESS else ""


def _kept(text: str | None) -> str:
    # PostgreSQL holds no text with a NUL character, and no name has one.
    plain = (text or "").replace("\x00", "").strip()
    return plain if plain.isprintable() else ""


def _whole_date(text: str) -> str:
    """Return a partial date of birth in one form: `1962` becomes `1962-00-00`."""
    match = PARTIAL_DATE.fullmatch(text)
    if match is None:
        return text
    year, month, day = match.groups()
    return f"{year}-{month or '00'}-{day or '00'}"
