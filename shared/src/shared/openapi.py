"""OpenAPI 3.1 built from the operations themselves, and a page that shows it without any script."""

import html
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import msgspec
from aiohttp import web

from shared.http import Operation, json_response
from shared.problem import Problem

REFERENCE = "#/components/schemas/{name}"


def describe(service: str, operations: Sequence[Operation]) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of `operations`."""
    structs: list[type] = [Problem]
    for operation in operations:
        structs += [operation.request] if operation.request else []
        structs += [body for body in operation.responses.values() if not isinstance(body, str)]
    unique = list(dict.fromkeys(structs))
    references, components = msgspec.json.schema_components(unique, ref_template=REFERENCE)
    schema_of = dict(zip(unique, references, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(
            operation, schema_of
        )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Quittance – {service}",
            "version": _version(service),
            "license": {"name": "AGPL-3.0-or-later", "identifier": "AGPL-3.0-or-later"},
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
    }


def _version(service: str) -> str:
    try:
        return version(f"quittance-{service}")
    except PackageNotFoundError:
        return "0"


def _operation(operation: Operation, schema_of: Mapping[type, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.handler.__name__,
        "summary": operation.summary,
        "responses": {
            str(status): _response(body, schema_of) for status, body in operation.responses.items()
        },
    }
    described["responses"]["default"] = {
        "description": "Problem document (RFC 9457).",
        "content": {"application/problem+json": {"schema": schema_of[Problem]}},
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)[^}]*\}", operation.path)
    ]
    parameters += [
        {
            "name": name,
            "in": "query",
            "description": meaning,
            "schema": {"type": "string"}
            | ({"pattern": pattern} if (pattern := operation.query_patterns.get(name)) else {}),
        }
        for name, meaning in operation.query.items()
    ]
    if parameters:
        described["parameters"] = parameters
    content: dict[str, Any] = {media: {} for media in operation.raw_types}
    if operation.request is not None:
        schema = schema_of[operation.request]
        content |= {media: {"schema": schema} for media in operation.request_types}
    if content:
        described["requestBody"] = {"required": True, "content": content}
    if operation.scope is not None:
        described["security"] = [{"token": [operation.scope]}]
    if operation.tags:
        described["tags"] = list(operation.tags)
    return described


def _response(body: type | str, schema_of: Mapping[type, Any]) -> dict[str, Any]:
    if isinstance(body, str):
        return {"description": body, "content": {body: {}}}
    return {
        "description": body.__name__,
        "content": {"application/json": {"schema": schema_of[body]}},
    }


def documentation_operations(service: str, operations: Sequence[Operation]) -> list[Operation]:
    """Return the operations that serve `/openapi.json` and `/docs`."""
    document = describe(service, operations)
    page = _page(document)

    async def openapi(_request: web.Request) -> web.Response:
        return json_response(document)

    async def docs(_request: web.Request) -> web.Response:
        return web.Response(text=page, content_type="text/html")

    return [
        Operation(method="GET", path="/openapi.json", handler=openapi, summary="OpenAPI document."),
        Operation(method="GET", path="/docs", handler=docs, summary="The same, for people."),
    ]


_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
h2{border-top:1px solid #ccc;padding-top:1rem}code,pre{font:14px/1.4 ui-monospace,monospace}
pre{background:#f5f5f7;padding:.75rem;overflow:auto}
.m{background:#0b5c66;color:#fff;padding:.1rem .5rem}
"""


def _page(document: dict[str, Any]) -> str:
    sections = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            scope = "".join(
                f" · droit <code>{html.escape(s)}</code>"
                for rule in operation.get("security", [])
                for s in rule["token"]
            )
            detail = msgspec.json.format(msgspec.json.encode(operation), indent=2).decode()
            sections.append(
                f'<h2><span class="m">{method.upper()}</span> <code>{html.escape(path)}</code></h2>'
                f"<p>{html.escape(operation['summary'])}{scope}</p>"
                f"<details><summary>Contract</summary><pre>{html.escape(detail)}</pre></details>"
            )
    schemas = msgspec.json.format(
        msgspec.json.encode(document["components"]["schemas"]), indent=2
    ).decode()
    title = html.escape(document["info"]["title"])
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1>"
        f"<p>Version {html.escape(document['info']['version'])} · "
        f'<a href="/openapi.json">openapi.json</a></p>{"".join(sections)}'
        f"<h2>Schemas</h2><details><summary>All</summary><pre>{html.escape(schemas)}</pre>"
        "</details></body></html>"
    )
