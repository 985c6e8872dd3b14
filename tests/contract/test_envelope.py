"""What travels is CloudEvents, also in the eyes of others."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka_event

from shared import envelope
from shared.envelope import Record
from shared.errors import ContractError
from shared.events import EVENTS, Event

FOLDER = Path(__file__).parent / "examples"
EXAMPLES = sorted(FOLDER.rglob("*.json"))
AT = datetime(2026, 11, 24, 13, 5, 0, 250_000, tzinfo=UTC)


def read_example(path: Path) -> Event:
    """Return the event of an example."""
    topic, version, _ = path.relative_to(FOLDER).parts
    return msgspec.json.decode(path.read_bytes(), type=EVENTS[f"{topic}.{version}"])


def name_of(example: Path) -> str:
    """Return how a test run names an example."""
    return str(example.relative_to(FOLDER))


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_an_event_survives_the_journey(example: Path) -> None:
    """Written and read back, it is the same fact."""
    event = read_example(example)

    record = envelope.write(event, at=AT)
    message = envelope.read(record.value, record.headers)

    assert message.data == event
    assert (record.topic, record.key) == (event.TOPIC, event.key.encode())
    assert (message.type, message.subject, message.time) == (event.TYPE, event.key, AT)
    assert message.source == f"/quittance/{event.PRODUCER}"


def test_an_event_names_what_caused_it() -> None:
    """A consequence carries the id of its cause, in the same trace."""
    cause_record = envelope.write(read_example(EXAMPLES[0]), at=AT)
    cause = envelope.read(cause_record.value, cause_record.headers)

    record = envelope.write(read_example(EXAMPLES[-1]), at=AT, caused_by=cause)
    message = envelope.read(record.value, record.headers)

    assert message.causation_id == cause.id
    assert message.traceparent[3:35] == cause.traceparent[3:35]
    assert message.id != cause.id


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_the_cloudevents_sdk_reads_our_records(example: Path) -> None:
    """A second opinion on the Kafka binding, binary mode."""
    event = read_example(example)
    record = envelope.write(event, at=AT)

    found = from_kafka_event(
        KafkaMessage(headers=dict(record.headers), key=record.key, value=record.value)
    )

    assert found.get_id() == dict(record.headers)["ce_id"].decode()
    assert found.get_type() == event.TYPE
    assert found.get_source() == f"/quittance/{event.PRODUCER}"
    assert found.get_specversion() == "1.0"
    assert found.get_subject() == event.key
    assert found.get_time() == AT
    assert found.get_extension("partitionkey") == event.key
    assert msgspec.convert(found.get_data(), type(event)) == event


@pytest.mark.parametrize("name", envelope.write(read_example(EXAMPLES[0]), at=AT).headers[:6])
def test_a_record_without_an_attribute_is_refused(name: tuple[str, bytes]) -> None:
    """It goes to the dead letters with the name of what it lacks."""
    record = envelope.write(read_example(EXAMPLES[0]), at=AT)
    headers = [header for header in record.headers if header[0] != name[0]]

    with pytest.raises(ContractError, match=name[0]):
        envelope.read(record.value, headers)


def test_a_field_that_is_not_known_yet_is_ignored() -> None:
    """Adding an optional field keeps the version: older readers go on."""
    event = read_example(EXAMPLES[0])
    record: Record = envelope.write(event, at=AT)
    value = record.value[:-1] + b',"added_later":{"x":1}}'

    assert envelope.read(value, record.headers).data == event
