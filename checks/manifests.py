"""The Kubernetes manifests are what the API server would take, before anybody asks one.

Documents are checked as they stand; with `kubectl` at hand, so is what the overlays render to. A
document as it stands may lack fields that a patch brings, a rendered one may not.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml

from checks.files import ROOT

FOLDER = ROOT / "deploy" / "k8s"
SCHEMAS = Path(__file__).parent / "schemas"
KUBERNETES_VERSION = "1.33"
KUSTOMIZE_GROUP = "kustomize.config.k8s.io/"

Document = dict[str, Any]


def problems() -> str:
    """Return what the API server would refuse, and files that no kustomization names."""
    found: list[str] = []
    for path in sorted(FOLDER.rglob("*.yaml")):
        name = str(path.relative_to(ROOT))
        for document in _documents(path.read_text(encoding="utf-8")):
            found += validate(name, document, is_rendered=False)
    found += _unnamed()
    if shutil.which("kubectl"):
        for overlay in sorted((FOLDER / "overlays").iterdir()):
            found += _rendered(overlay)
    return "\n".join(found)


def validate(origin: str, document: Document, *, is_rendered: bool) -> list[str]:
    """Return what is wrong with one document, of Kubernetes or of an operator whose schema we have.

    Unless `is_rendered`, a missing field is no fault: a patch brings it.
    """
    kind, version = str(document.get("kind", "")), str(document.get("apiVersion", ""))
    if version.startswith(KUSTOMIZE_GROUP):
        return []
    label = f"{origin}: {kind} {document.get('metadata', {}).get('name', '')}"
    own = SCHEMAS / f"{version.replace('/', '-')}.json".replace("-v", f"-{kind.lower()}-v", 1)
    try:
        if own.exists():
            jsonschema.validate(document, json.loads(own.read_text(encoding="utf-8")))
        else:
            kubernetes_validate.validate(document, KUBERNETES_VERSION, strict=True)
    except jsonschema.ValidationError as error:
        if error.validator == "required" and not is_rendered:
            return []
        place = ".".join(str(step) for step in error.absolute_path)
        return [f"{label}: {place}: {error.message[:200]}"]
    except kubernetes_validate.SchemaNotFoundError as error:
        return [f"{label}: {error.message}; put its schema into {SCHEMAS.relative_to(ROOT)}"]
    return []


def _rendered(overlay: Path) -> Iterator[str]:
    ended = subprocess.run(
        ["kubectl", "kustomize", str(overlay)], capture_output=True, check=False, text=True
    )
    name = f"rendered {overlay.name}"
    if ended.returncode != 0:
        yield f"{name}: {ended.stderr.strip()}"
        return
    documents = _documents(ended.stdout)
    for document in documents:
        yield from validate(name, document, is_rendered=True)
    yield from _dangling(name, documents)


def _dangling(name: str, documents: list[Document]) -> Iterator[str]:
    """Yield services and disruption budgets that choose no pod of the same rendering."""
    pods = [
        document["spec"]["template"]["metadata"].get("labels", {})
        for document in documents
        if document["kind"] in {"Deployment", "StatefulSet"}
    ]
    for document in documents:
        selector = document.get("spec", {}).get("selector")
        if document["kind"] == "PodDisruptionBudget":
            selector = selector["matchLabels"]
        elif document["kind"] != "Service":
            continue
        if not any(selector.items() <= labels.items() for labels in pods):
            yield f"{name}: {document['kind']} {document['metadata']['name']} chooses no pod"


def _unnamed() -> Iterator[str]:
    for folder in sorted({path.parent for path in FOLDER.rglob("*.yaml")}):
        kustomization = folder / "kustomization.yaml"
        text = kustomization.read_text(encoding="utf-8") if kustomization.exists() else ""
        for path in sorted(folder.glob("*.yaml")):
            if path != kustomization and not re.search(rf"\b{re.escape(path.name)}\b", text):
                yield f"{path.relative_to(ROOT)}: no kustomization names it"


def _documents(text: str) -> list[Document]:
    return [document for document in yaml.safe_load_all(text) if document]
