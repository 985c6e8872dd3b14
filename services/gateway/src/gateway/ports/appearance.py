"""What an authority looks like on the portal, and where its régies are reached."""

from typing import Annotated, Protocol

import msgspec

Colour = Annotated[str, msgspec.Meta(pattern="^#[0-9a-fA-F]{6}$")]
Line = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Lines = Annotated[
    str, msgspec.Meta(min_length=1, max_length=500, pattern=r"^[^\x00-\x09\x0b-\x1f\x7f]+$")
]
Email = Annotated[
    str,
    msgspec.Meta(max_length=254, pattern=r"^[^\s@,;<>?&\"]+@[^\s@,;<>?&\"]+\.[^\s@,;<>?&\".]+$"),
]
Phone = Annotated[str, msgspec.Meta(pattern=r"^\+?[0-9][0-9 .()-]{2,24}$")]
Address = Annotated[str, msgspec.Meta(max_length=500, pattern=r"^https://[^\s<>\"']+$")]


class Contact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where somebody answers; address and opening hours may have several lines."""

    phone: Phone | None = None
    email: Email | None = None
    address: Lines | None = None
    hours: Lines | None = None
    url: Address | None = None


class OtherMeans(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How an invoice is paid otherwise than online; each is a sentence of the régie's own."""

    counter: Lines | None = None
    cheque: Lines | None = None
    iban: Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}[0-9]{2}[A-Z0-9 ]{10,40}$")] | None = None
    bic: Annotated[str, msgspec.Meta(pattern="^[A-Z0-9]{8}([A-Z0-9]{3})?$")] | None = None


class LegalNotice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the law wants to be told of who publishes (LCEN, article 6 III; RGPD, article 13)."""

    publication_director: Line | None = None
    host: Lines | None = None
    data_protection_email: Email | None = None


class Appearance(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an authority sets: `logo` is an SVG document, or a PNG in base64."""

    accent: Colour | None = None
    accent_dark: Colour | None = None
    logo: Annotated[str, msgspec.Meta(min_length=1, max_length=131_072)] | None = None
    contact: Contact | None = None
    legal: LegalNotice | None = None


class RegieLook(msgspec.Struct, frozen=True, kw_only=True):
    """What the page of an invoice tells of its régie."""

    code: str
    contact: Contact | None = None
    other_means: OtherMeans | None = None


class AuthorityLook(msgspec.Struct, frozen=True, kw_only=True):
    """An authority as it was set, at one revision."""

    authority: str
    name: str
    revision: int
    appearance: Appearance | None = None
    regies: tuple[RegieLook, ...] = ()


class Looks(Protocol):
    """What authorities look like."""

    async def look_revisions(self) -> dict[str, int]:
        """Return the revision at which each authority stands, by its name in addresses."""
        ...

    async def looks(self, authorities: list[str]) -> list[AuthorityLook]:
        """Return what these authorities look like."""
        ...
