"""The generated contracts are the committed ones, and valid by their own rules."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from checks import contracts
from shared.events import EVENTS
from shared.kafka import dead_letter_topic
from shared.topics import SERVICES

RULES = json.loads((Path(__file__).parent / "asyncapi" / "3.0.0.json").read_text("utf-8"))


def committed() -> dict[str, Any]:
    """Return the committed AsyncAPI document."""
    text = (contracts.FOLDER / contracts.ASYNCAPI_NAME).read_text("utf-8")
    document: dict[str, Any] = yaml.safe_load(text)
    return document


def errors_of(document: dict[str, Any]) -> list[str]:
    """Return what AsyncAPI's own schema finds wrong."""
    validator = jsonschema.Draft7Validator(RULES)
    return [error.message for error in validator.iter_errors(document)]


def resolve(document: dict[str, Any], reference: str) -> dict[str, Any]:
    """Return what a `$ref` points at."""
    found: dict[str, Any] = document
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found


def references(node: object) -> list[str]:
    """Return every `$ref` below `node`."""
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [name for child in node.values() for name in references(child)]
    if isinstance(node, list):
        return [name for child in node for name in references(child)]
    return []


def test_the_committed_contracts_are_what_the_code_says() -> None:
    """Otherwise `make contracts` was forgotten."""
    assert contracts.difference() == ""


def test_a_changed_contract_is_noticed(tmp_path: Path) -> None:
    """An edited, a missing and a left-over file each show."""
    contracts.write(tmp_path)
    in_step = contracts.difference(tmp_path)
    edited = tmp_path / "reminder.due.v1.schema.json"
    edited.write_text(edited.read_text("utf-8").replace('"integer"', '"number"'), "utf-8")
    (tmp_path / "contact.updated.v1.schema.json").unlink()
    (tmp_path / "gone.v1.schema.json").write_text("{}\n", "utf-8")

    found = contracts.difference(tmp_path)

    assert in_step == ""
    for name in ("reminder.due", "contact.updated", "gone"):
        assert f"+++ generated/{name}.v1.schema.json" in found
    assert found.count("+++ ") == 3


def test_contracts_are_written_the_same_each_time() -> None:
    """No order of a set, no date, no path."""
    assert contracts.generate() == contracts.generate()


def test_the_document_is_valid_asyncapi() -> None:
    """By the schema that the AsyncAPI initiative publishes."""
    assert errors_of(committed()) == []


def test_a_wrong_document_is_refused() -> None:
    """The schema does look: an unknown action and a stray field are errors."""
    document = committed()
    document["operations"]["payment-sends-payment.captured.v1"]["action"] = "shout"
    document["colour"] = "blue"

    assert len(errors_of(document)) >= 2


def test_every_reference_leads_somewhere() -> None:
    """AsyncAPI's schema does not follow references; this does."""
    document = committed()
    names = references(document)

    assert len(names) > len(EVENTS)
    assert all(resolve(document, name) for name in names)


@pytest.mark.parametrize("name", EVENTS)
def test_the_document_says_who_sends_and_who_receives(name: str) -> None:
    """One sender, the declared receivers, no other."""
    operations = committed()["operations"]
    reference = {"$ref": f"#/channels/{EVENTS[name].TOPIC}/messages/{name}"}

    found = {
        (operation["action"], operation["tags"][0]["name"])
        for operation in operations.values()
        if reference in operation["messages"]
    }

    assert found == {
        ("send", EVENTS[name].PRODUCER),
        *(("receive", consumer) for consumer in EVENTS[name].CONSUMERS),
    }


def test_channels_are_the_topics_that_exist() -> None:
    """The topics of the events, and one for each service's dead letters."""
    topics = {event.TOPIC for event in EVENTS.values()}
    buried = {dead_letter_topic(service) for service in SERVICES}

    assert set(committed()["channels"]) == topics | buried


@pytest.mark.parametrize("name", EVENTS)
def test_the_schema_of_each_event_is_valid_and_named_for_it(name: str) -> None:
    """JSON Schema 2020-12, with the type and its version in the file name."""
    schema = json.loads((contracts.FOLDER / f"{name}.schema.json").read_text("utf-8"))

    jsonschema.Draft202012Validator.check_schema(schema)

    assert schema["title"] == name
