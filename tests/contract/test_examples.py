"""Committed examples: what was once said must be understood for ever."""

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest

from shared.events import EVENTS

FOLDER = Path(__file__).parent / "examples"
SCHEMAS = Path(__file__).parents[2] / "shared" / "contracts"
EXAMPLES = sorted(FOLDER.rglob("*.json"))
EXAMPLES_OF_EACH_TYPE = 2


def type_of(example: Path) -> str:
    """Return the event type that an example's folders name: `<topic>/<version>/<name>.json`."""
    topic, version, _ = example.relative_to(FOLDER).parts
    return f"{topic}.{version}"


def name_of(example: Path) -> str:
    """Return how a test run names an example."""
    return str(example.relative_to(FOLDER))


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_understands_an_example(example: Path) -> None:
    """Every committed example decodes today, and says the same when it is written again."""
    value = example.read_bytes()

    event = msgspec.json.decode(value, type=EVENTS[type_of(example)])

    written = json.loads(msgspec.json.encode(event))
    said = json.loads(value)
    assert {name: written[name] for name in said} == said


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_an_example_follows_its_published_schema(example: Path) -> None:
    """Consumers in other languages read the schema, not our structs."""
    schema = json.loads((SCHEMAS / f"{type_of(example)}.schema.json").read_text("utf-8"))
    validator = jsonschema.Draft202012Validator(
        schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )

    errors = [error.message for error in validator.iter_errors(json.loads(example.read_bytes()))]

    assert errors == []


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
@pytest.mark.parametrize("spoilt", ["without_a_field", "with_a_wrong_type"])
def test_a_spoilt_example_is_refused(example: Path, spoilt: str) -> None:
    """The contract can fail: each required field is needed, and no text passes for a number."""
    struct = EVENTS[type_of(example)]
    said = json.loads(example.read_bytes())
    required = [field.encode_name for field in msgspec.structs.fields(struct) if field.required]

    for name in required:
        changed = dict(said)
        if spoilt == "without_a_field":
            del changed[name]
        else:
            changed[name] = {"not": "this"}
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(json.dumps(changed), type=struct)


@pytest.mark.parametrize("name", EVENTS)
def test_every_event_type_has_examples(name: str) -> None:
    """A version without examples could be broken unnoticed."""
    found = [example for example in EXAMPLES if type_of(example) == name]

    assert len(found) >= EXAMPLES_OF_EACH_TYPE


def test_no_example_is_orphaned() -> None:
    """Every file is in the folder of an event type that exists, and is JSON."""
    assert {type_of(example) for example in EXAMPLES} == set(EVENTS)
    assert [path for path in FOLDER.rglob("*") if path.is_file()] != []
    assert {path.suffix for path in FOLDER.rglob("*") if path.is_file()} == {".json"}


def test_examples_name_nobody_real() -> None:
    """Addresses under `.test` (RFC 2606) belong to nobody."""
    words = " ".join(example.read_text("utf-8") for example in EXAMPLES).split('"')
    addresses = {word for word in words if "@" in word}

    assert addresses
    assert all(address.endswith("@exemple.test") for address in addresses)
