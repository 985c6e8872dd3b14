"""W3C trace context, carried from HTTP to Kafka headers to logs (https://www.w3.org/TR/trace-context/)."""

import re
import secrets
from contextvars import ContextVar

TRACEPARENT = re.compile(r"^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$")

current: ContextVar[str | None] = ContextVar("traceparent", default=None)


def start(received: str | None = None) -> str:
    """Return a traceparent for a new unit of work: a child of `received` when that is valid."""
    if received is not None and TRACEPARENT.match(received):
        trace_id = received[3:35]
    else:
        trace_id = secrets.token_hex(16)
    return f"00-{trace_id}-{secrets.token_hex(8)}-01"


def trace_id(traceparent: str) -> str:
    """Return the part that all units of one flow share."""
    return traceparent[3:35]
