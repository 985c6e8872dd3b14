"""`ls services/*/src/*/handlers/on_*.py` is the flow: files and declarations agree."""

import ast
from pathlib import Path

import pytest

from shared.events import EVENTS
from shared.topics import SERVICES

ROOT = Path(__file__).parents[2] / "services"


def handler_files(service: str) -> list[Path]:
    """Return the handler modules of a service."""
    return sorted((ROOT / service / "src" / service / "handlers").glob("on_*.py"))


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_a_handler_for_each_topic_it_declares(service: str) -> None:
    """Neither an event nobody handles, nor a handler that nothing reaches."""
    declared = {
        "on_" + event.TOPIC.replace(".", "_")
        for event in EVENTS.values()
        if service in event.CONSUMERS
    }

    assert {path.stem for path in handler_files(service)} == declared


@pytest.mark.parametrize("service", SERVICES)
def test_a_handler_module_offers_one_function_of_its_own_name(service: str) -> None:
    """One file, one public asynchronous function."""
    for path in handler_files(service):
        tree = ast.parse(path.read_text("utf-8"))
        public = [
            node
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            and not node.name.startswith("_")
        ]

        assert [(type(node), node.name) for node in public] == [(ast.AsyncFunctionDef, path.stem)]


def test_every_party_of_an_event_is_a_service_that_exists() -> None:
    """A misspelt name would leave a topic without reader."""
    named = {name for event in EVENTS.values() for name in (event.PRODUCER, *event.CONSUMERS)}

    assert named <= set(SERVICES)
    assert {path.name for path in ROOT.iterdir() if path.is_dir()} == set(SERVICES)


def test_every_event_has_consumers_other_than_its_producer() -> None:
    """A topic that nobody else reads is not a topic."""
    for event in EVENTS.values():
        assert event.CONSUMERS
        assert event.PRODUCER not in event.CONSUMERS


def test_the_table_names_each_type_as_the_struct_does() -> None:
    """The wire name is written twice, and must be the same."""
    assert {name: event.TYPE for name, event in EVENTS.items()} == {name: name for name in EVENTS}
    assert all(name.startswith(event.TOPIC + ".v") for name, event in EVENTS.items())
