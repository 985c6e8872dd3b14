"""What billers are told to call can be called from outside, at the service that serves it."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TOLD = ROOT / "docs" / "billers.md"
DOOR = re.compile(r"/(?:v1/[a-z-]+|oauth|\.well-known)")


def doors(overlay: str) -> dict[str, str]:
    """Return the service behind each path of the billers' host."""
    file = ROOT / "deploy" / "k8s" / "overlays" / overlay / "ingress.yaml"
    parts: list[dict[str, Any]] = list(yaml.safe_load_all(file.read_text("utf-8")))
    [ingress] = [part for part in parts if part["kind"] == "Ingress"]
    [billers] = [rule for rule in ingress["spec"]["rules"] if rule["host"].startswith("api.")]
    return {path["path"]: path["backend"]["service"]["name"] for path in billers["http"]["paths"]}


@pytest.mark.parametrize("overlay", ["dev", "prod"])
def test_every_door_that_billers_are_told_of_is_open(overlay: str) -> None:
    """A door that is only reached from within would be found out on the day it is needed."""
    told = set(DOOR.findall(TOLD.read_text("utf-8")))

    assert len(told) > 6
    assert told - doors(overlay).keys() == set()


@pytest.mark.parametrize("overlay", ["dev", "prod"])
def test_a_door_leads_to_the_service_that_has_it(overlay: str) -> None:
    """By the addresses that its own code serves."""
    for path, service in doors(overlay).items():
        code = ROOT / "services" / service / "src"
        served = [file for file in code.rglob("*.py") if f'"{path}' in file.read_text("utf-8")]
        assert served, (path, service)
