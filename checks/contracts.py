"""The public contracts, generated from `shared.events`: a JSON Schema for each event, one AsyncAPI.

`python -m checks.contracts write` writes them to `shared/contracts`; `check` prints the difference
and exits 1 when the committed files are not what the code says.
"""

import argparse
import difflib
import inspect
import json
import sys
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import yaml

from shared import envelope
from shared.events import EVENTS, Event
from shared.kafka import dead_letter_topic
from shared.topics import SERVICES

Document: TypeAlias = dict[str, Any]

FOLDER = Path(__file__).parents[1] / "shared" / "contracts"
SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"
ASYNCAPI_NAME = "asyncapi.yaml"
KAFKA_BINDING_VERSION = "0.5.0"
TRACEPARENT_PATTERN = "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"


class _Dumper(yaml.SafeDumper):
    """Writes every value in full, texts of several lines as blocks."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's own signature
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def generate() -> dict[str, str]:
    """Return every contract: file name to content."""
    files = {
        f"{name}.schema.json": json.dumps(schema(event), indent=2, ensure_ascii=False) + "\n"
        for name, event in EVENTS.items()
    }
    files[ASYNCAPI_NAME] = yaml.dump(
        asyncapi(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100
    )
    return files


def schema(event: type[Event]) -> Document:
    """Return the JSON Schema of one event's value, complete in itself."""
    (reference,), components = msgspec.json.schema_components(
        [event], ref_template="#/$defs/{name}"
    )
    return {
        "$schema": SCHEMA_DIALECT,
        "title": event.TYPE,
        "description": fact_of(event),
        **reference,
        "$defs": {name: _clean(components[name]) for name in sorted(components)},
    }


def fact_of(event: type[Event]) -> str:
    """Return the sentence of the fact: the docstring of the event's module."""
    module = sys.modules[event.__module__]
    return inspect.cleandoc(module.__doc__ or "")


def asyncapi() -> Document:
    """Return the AsyncAPI 3.0.0 document of all topics, who sends to them and who receives."""
    events = list(EVENTS.values())
    references, components = msgspec.json.schema_components(
        events, ref_template="#/components/schemas/{name}"
    )
    schemas = {name: _clean(components[name]) for name in sorted(components)}
    messages = {
        event.TYPE: _message(event, reference)
        for event, reference in zip(events, references, strict=True)
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Quittance events",
            "version": "1",
            "description": (
                "What travels between the services of Quittance: CloudEvents 1.0 in Kafka's binary"
                " mode, JSON values, amounts in integer cents. Topics are not ordered against each"
                " other; records with one key are. Every record may come twice: (`ce_source`,"
                " `ce_id`) names it. Unknown fields are to be ignored."
            ),
            "license": {"name": "AGPL-3.0-or-later"},
        },
        "defaultContentType": "application/json",
        "channels": _channels(events),
        "operations": _operations(events),
        "components": {
            "messages": messages | {"dead-letter": _dead_letter()},
            "schemas": schemas,
        },
    }


def _channels(events: list[type[Event]]) -> Document:
    channels: Document = {}
    for event in events:
        channel = channels.setdefault(
            event.TOPIC,
            {"address": event.TOPIC, "description": fact_of(event), "messages": {}},
        )
        channel["messages"][event.TYPE] = {"$ref": f"#/components/messages/{event.TYPE}"}
    for service in SERVICES:
        topic = dead_letter_topic(service)
        channels[topic] = {
            "address": topic,
            "description": f"Records that {service} could not use, each with the reason.",
            "messages": {"dead-letter": {"$ref": "#/components/messages/dead-letter"}},
        }
    return channels


def _operations(events: list[type[Event]]) -> Document:
    operations: Document = {}
    for event in events:
        operations[f"{event.PRODUCER}-sends-{event.TYPE}"] = _operation(
            "send", event.PRODUCER, event.TOPIC, event.TYPE
        )
        for consumer in event.CONSUMERS:
            operations[f"{consumer}-receives-{event.TYPE}"] = _operation(
                "receive", consumer, event.TOPIC, event.TYPE
            )
    for service in SERVICES:
        operations[f"{service}-buries"] = _operation(
            "send", service, dead_letter_topic(service), "dead-letter"
        )
    return operations


def _operation(action: str, service: str, topic: str, message: str) -> Document:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{topic}"},
        "tags": [{"name": service}],
        "messages": [{"$ref": f"#/channels/{topic}/messages/{message}"}],
    }


def _message(event: type[Event], payload: Document) -> Document:
    return {
        "name": event.TYPE,
        "title": event.__name__,
        "summary": fact_of(event),
        "contentType": envelope.CONTENT_TYPE.decode(),
        "headers": _headers(event),
        "payload": payload,
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": "The value of `ce_partitionkey`."},
                "bindingVersion": KAFKA_BINDING_VERSION,
            }
        },
    }


def _headers(event: type[Event]) -> Document:
    """Return the schema of the record headers (CloudEvents Kafka binding 1.0.2, section 3.2)."""
    text: Document = {"type": "string", "minLength": 1}
    return {
        "type": "object",
        "required": [
            "ce_id",
            "ce_source",
            "ce_type",
            "ce_specversion",
            "ce_time",
            "ce_subject",
            "ce_partitionkey",
            "ce_traceparent",
            "content-type",
        ],
        "properties": {
            "ce_id": text | {"description": "Unique with `ce_source`; the same when sent again."},
            "ce_source": {"const": f"/quittance/{event.PRODUCER}"},
            "ce_type": {"const": event.TYPE},
            "ce_specversion": {"const": "1.0"},
            "ce_time": {"type": "string", "format": "date-time"},
            "ce_subject": text | {"description": "What the event is about: its key."},
            "ce_partitionkey": text,
            "ce_traceparent": {"type": "string", "pattern": TRACEPARENT_PATTERN},
            "ce_causationid": text | {"description": "`ce_id` of the event that led to this one."},
            "content-type": {"const": envelope.CONTENT_TYPE.decode()},
        },
    }


def _dead_letter() -> Document:
    text: Document = {"type": "string"}
    return {
        "name": "dead-letter",
        "title": "DeadLetter",
        "summary": "A record as it came, its own headers kept, with where and why it was buried.",
        "headers": {
            "type": "object",
            "required": [
                "dead_reason",
                "dead_detail",
                "dead_service",
                "dead_topic",
                "dead_partition",
                "dead_offset",
                "dead_at",
            ],
            "properties": {
                "dead_reason": text | {"description": "Stable slug of the error."},
                "dead_detail": text | {"description": "What was wrong, for people."},
                "dead_service": {"enum": list(SERVICES)},
                "dead_topic": text,
                "dead_partition": {"type": "string", "pattern": "^[0-9]+$"},
                "dead_offset": {"type": "string", "pattern": "^[0-9]+$"},
                "dead_at": {"type": "string", "format": "date-time"},
            },
        },
        "payload": {"description": "The bytes of the record, whatever they are."},
    }


def _clean(component: Document) -> Document:
    if "description" in component:
        return component | {"description": inspect.cleandoc(component["description"])}
    return component


def write(folder: Path = FOLDER) -> None:
    """Write every contract and remove those of events that no longer exist."""
    folder.mkdir(parents=True, exist_ok=True)
    files = generate()
    for path in _committed(folder):
        if path.name not in files:
            path.unlink()
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")


def difference(folder: Path = FOLDER) -> str:
    """Return the unified difference between the committed contracts and the code; empty if none."""
    files = generate()
    names = sorted({*files, *(path.name for path in _committed(folder))})
    lines: list[str] = []
    for name in names:
        path = folder / name
        committed = path.read_text("utf-8") if path.exists() else ""
        lines += difflib.unified_diff(
            committed.splitlines(keepends=True),
            files.get(name, "").splitlines(keepends=True),
            f"committed/{name}",
            f"generated/{name}",
        )
    return "".join(lines)


def _committed(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.suffix in {".json", ".yaml"})


def main() -> None:
    """Write the contracts, or compare them with the committed ones."""
    parser = argparse.ArgumentParser(prog="checks.contracts", description=__doc__)
    parser.add_argument("command", choices=["write", "check"])
    if parser.parse_args().command == "write":
        write()
        return
    found = difference()
    if found:
        sys.stdout.write(found)
        sys.exit("contracts differ from the code: run `make contracts` and commit the result")


if __name__ == "__main__":
    main()
