"""An event survives the trip, and nothing that breaks its contract leaves or enters."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from shared import envelope, trace
from shared.errors import ContractError
from shared.events import ReminderDue

NOW = datetime(2026, 11, 24, 10, 30, tzinfo=UTC)
INVOICE = UUID("11111111-2222-4333-8444-555555555555")


def a_reminder(*, level: int = 1, outstanding_cents: int = 4100) -> ReminderDue:
    return ReminderDue(
        invoice_id=INVOICE,
        version=1,
        level=level,
        authority="saint-aubin",
        regie="CANTINE",
        number="2026-1",
        due_on=NOW.date(),
        outstanding_cents=outstanding_cents,
        currency="EUR",
        decided_at=NOW,
    )


def test_an_event_is_read_as_it_was_written() -> None:
    """Reading gives back the same fact under the same identity."""
    event = a_reminder()

    record = envelope.write(event, at=NOW)
    message = envelope.read(record.value, record.headers)

    assert message.data == event
    assert message.type == "reminder.due.v1"
    assert message.subject == str(INVOICE)
    assert message.time == NOW
    assert record.key == str(INVOICE).encode()


def test_an_effect_keeps_the_trace_and_names_its_cause() -> None:
    """What a message causes belongs to the same trace and says which message caused it."""
    first = envelope.write(a_reminder(), at=NOW)
    cause = envelope.read(first.value, first.headers)

    second = envelope.write(a_reminder(level=2), at=NOW, caused_by=cause)
    effect = envelope.read(second.value, second.headers)

    assert trace.trace_id(effect.traceparent) == trace.trace_id(cause.traceparent)
    assert effect.causation_id == cause.id


def test_refuses_to_write_what_no_reader_would_accept() -> None:
    """A value outside its limits is caught before it is sent."""
    with pytest.raises(ContractError, match="outstanding_cents"):
        envelope.write(a_reminder(outstanding_cents=0), at=NOW)


@pytest.mark.parametrize(
    "name", ["ce_id", "ce_source", "ce_type", "ce_specversion", "ce_time", "ce_subject"]
)
def test_refuses_a_record_without_a_required_attribute(name: str) -> None:
    """CloudEvents 1.0 makes these attributes mandatory, and ours adds the subject."""
    record = envelope.write(a_reminder(), at=NOW)
    headers = [header for header in record.headers if header[0] != name]

    with pytest.raises(ContractError, match=name):
        envelope.read(record.value, headers)


def test_refuses_a_type_it_does_not_know() -> None:
    """A type of a later version is not guessed at."""
    record = envelope.write(a_reminder(), at=NOW)
    headers = [
        (name, b"reminder.due.v9" if name == "ce_type" else text) for name, text in record.headers
    ]

    with pytest.raises(envelope.UnknownTypeError):
        envelope.read(record.value, headers)


@pytest.mark.parametrize("value", [None, b"", b"nope", b"{}", b'{"level": "1"}'])
def test_refuses_a_value_that_is_not_the_event(value: bytes | None) -> None:
    """A tombstone, other text or a wrong shape is a contract error, never a crash."""
    record = envelope.write(a_reminder(), at=NOW)

    with pytest.raises(ContractError):
        envelope.read(value, record.headers)


def test_ignores_fields_that_a_later_version_added() -> None:
    """Strict where written, tolerant where read."""
    record = envelope.write(a_reminder(), at=NOW)
    value = record.value.replace(b"{", b'{"added_later":true,', 1)

    assert a_reminder() == envelope.read(value, record.headers).data


def test_a_forged_trace_is_replaced() -> None:
    """A traceparent that is not one starts a new trace instead of entering the logs."""
    started = trace.start("00-forged\nline-01")

    assert trace.TRACEPARENT.match(started)
