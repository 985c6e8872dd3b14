"""CloudEvents 1.0 in Kafka's binary mode: attributes are headers, the value is the struct's JSON.

Source of the mapping: CloudEvents Kafka protocol binding 1.0.2, section 3.2, and the extensions
`partitionkey`, `traceparent` (distributed tracing) and our `causationid`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Generic, TypeVar
from uuid import uuid4

import msgspec

from shared import trace
from shared.errors import ContractError
from shared.events import EVENTS, Event

E_co = TypeVar("E_co", bound=Event, covariant=True)

CONTENT_TYPE = b"application/json; charset=UTF-8"
MAXIMUM_VALUE_BYTES = 900_000
"""Below Kafka's default of 1 MB for a whole record, with room for the headers."""

Headers = Sequence[tuple[str, bytes]]

_encoder = msgspec.json.Encoder(order="deterministic")
_decoders = {name: msgspec.json.Decoder(struct) for name, struct in EVENTS.items()}
_REQUIRED = ("ce_id", "ce_source", "ce_type", "ce_specversion", "ce_time", "ce_subject")


class UnknownTypeError(ContractError):
    """The record carries a type that this version of the code does not know."""

    slug = "unknown-type"


class Message(msgspec.Struct, Generic[E_co], frozen=True, kw_only=True):
    """One event as it was read: (`source`, `id`) names it once and for all."""

    id: str
    source: str
    type: str
    subject: str
    time: datetime
    traceparent: str
    causation_id: str | None
    data: E_co


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One event as it is sent."""

    topic: str
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


def write(event: Event, *, at: datetime, caused_by: Message[Event] | None = None) -> Record:
    """Return the record of `event`, having read it back so that nothing invalid leaves.

    Raises:
        ContractError: the event breaks its own schema or is too large.
    """
    value = _encoder.encode(event)
    if len(value) > MAXIMUM_VALUE_BYTES:
        message = f"{event.TYPE} {event.key} is {len(value)} bytes"
        raise ContractError(message)
    try:
        # msgspec checks limits when decoding only, so a wrong event is caught here.
        _decoders[event.TYPE].decode(value)
    except msgspec.ValidationError as error:
        message = f"{event.TYPE} {event.key} breaks its contract: {error}"
        raise ContractError(message) from error
    parent = caused_by.traceparent if caused_by else trace.current.get()
    headers = [
        ("ce_id", str(uuid4())),
        ("ce_source", f"/quittance/{event.PRODUCER}"),
        ("ce_type", event.TYPE),
        ("ce_specversion", "1.0"),
        ("ce_time", at.isoformat().replace("+00:00", "Z")),
        ("ce_subject", event.key),
        ("ce_partitionkey", event.key),
        ("ce_traceparent", trace.start(parent)),
    ]
    if caused_by:
        headers.append(("ce_causationid", caused_by.id))
    encoded = tuple((name, text.encode()) for name, text in headers)
    return Record(
        topic=event.TOPIC,
        key=event.key.encode(),
        value=value,
        headers=(*encoded, ("content-type", CONTENT_TYPE)),
    )


def read(value: bytes | None, headers: Headers) -> Message[Event]:
    """Return the event in a record.

    Raises:
        UnknownTypeError: a type that is not in the table.
        ContractError: a missing attribute, or a value that does not decode.
    """
    attributes = _attributes(headers)
    missing = [name for name in _REQUIRED if not attributes.get(name)]
    if missing:
        message = f"missing attribute: {', '.join(missing)}"
        raise ContractError(message)
    if attributes["ce_specversion"] != "1.0":
        message = f"specversion {attributes['ce_specversion']}"
        raise ContractError(message)
    decoder = _decoders.get(attributes["ce_type"])
    if decoder is None:
        raise UnknownTypeError(attributes["ce_type"])
    try:
        event = decoder.decode(value or b"")
        time = datetime.fromisoformat(attributes["ce_time"])
    except (msgspec.DecodeError, ValueError) as error:
        message = f"{attributes['ce_type']} does not decode: {error}"
        raise ContractError(message) from error
    return Message(
        id=attributes["ce_id"],
        source=attributes["ce_source"],
        type=attributes["ce_type"],
        subject=attributes["ce_subject"],
        time=time,
        traceparent=trace.start(attributes.get("ce_traceparent")),
        causation_id=attributes.get("ce_causationid"),
        data=event,
    )


def _attributes(headers: Headers) -> dict[str, str]:
    try:
        return {name: content.decode() for name, content in headers}
    except UnicodeDecodeError as error:
        message = "a header is not UTF-8"
        raise ContractError(message) from error
