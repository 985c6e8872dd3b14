"""An authority's public settings and régies were set or changed; the whole state each time."""

from typing import Annotated, ClassVar, Literal

import msgspec

from shared.events.event import Event, Instant, NonEmpty


class StampPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where the QR code goes on the biller's paper: millimetres from the page's top left corner."""

    page: Annotated[int, msgspec.Meta(ge=1, le=50)] = 1
    x_mm: Annotated[float, msgspec.Meta(ge=0, le=1000)]
    y_mm: Annotated[float, msgspec.Meta(ge=0, le=1000)]
    size_mm: Annotated[float, msgspec.Meta(ge=18, le=80)] = 28.0


class Regie(msgspec.Struct, frozen=True, kw_only=True):
    """One régie (or the treasury's budget): how it is paid, stamped and reminded."""

    code: Annotated[str, NonEmpty]
    label: Annotated[str, NonEmpty]
    route: Literal["regie", "treasury"]
    stamp_place: StampPlace | None = None
    reminder_after_days: Annotated[int, msgspec.Meta(ge=1, le=365)] = 15


class KafkaBiller(msgspec.Struct, frozen=True, kw_only=True):
    """A billing application that deposits on a topic of its own, `biller.deposited.CLIENT_ID`."""

    client_id: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]{3,100}$")]
    regies: tuple[str, ...]


class AuthorityConfigured(Event, frozen=True, kw_only=True):
    """The authority as it stands now; never any secret."""

    TOPIC: ClassVar[str] = "authority.configured"
    TYPE: ClassVar[str] = "authority.configured.v1"
    PRODUCER: ClassVar[str] = "gateway"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("ingestion", "publication", "reconciliation")

    authority: Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9-]{1,62}$")]
    name: Annotated[str, NonEmpty]
    regies: tuple[Regie, ...]
    revision: Annotated[int, msgspec.Meta(ge=1)]
    configured_at: Instant
    billers: tuple[KafkaBiller, ...] = ()

    @property
    def key(self) -> str:
        """Order is kept for each authority."""
        return self.authority
