"""Every error is a problem document; tokens, limits and probes behave as documented."""

from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from shared.auth import InvalidTokenError, Principal
from shared.errors import DomainError, TransientError
from shared.http import (
    Operation,
    ProblemError,
    create_application,
    json_response,
    principal,
    read_json,
)

pytestmark = pytest.mark.enable_socket


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    amount_cents: int


class FixedAuthenticator:
    async def authenticate(self, token: str) -> Principal:
        if token != "good":
            message = "no"
            raise InvalidTokenError(message)
        return Principal(
            subject="biller", authority="a", regies=("R",), scopes=frozenset({"orders:read"})
        )


class ClosedError(DomainError):
    slug = "closed"


async def place(request: web.Request) -> web.Response:
    return json_response(await read_json(request, Order), status=201)


async def whoami(request: web.Request) -> web.Response:
    return json_response(principal(request).subject)


async def refuse(_request: web.Request) -> web.Response:
    message = "La caisse est close."
    raise ClosedError(message)


async def fail(_request: web.Request) -> web.Response:
    message = "secret detail"
    raise RuntimeError(message)


async def wait(_request: web.Request) -> web.Response:
    raise TransientError


async def broken() -> None:
    message = "database is away"
    raise TransientError(message)


async def healthy() -> None:
    return


def an_application(**checks: object) -> web.Application:
    return create_application(
        "test",
        [
            Operation(
                method="POST",
                path="/orders",
                handler=place,
                summary="Place.",
                request=Order,
                responses={201: Order},
            ),
            Operation(method="GET", path="/me", handler=whoami, summary="Me.", scope="orders:read"),
            Operation(
                method="GET", path="/admin", handler=whoami, summary="Admin.", scope="orders:admin"
            ),
            Operation(method="GET", path="/refuse", handler=refuse, summary="Refuse."),
            Operation(method="GET", path="/fail", handler=fail, summary="Fail."),
            Operation(method="GET", path="/wait", handler=wait, summary="Wait."),
        ],
        authenticator=FixedAuthenticator(),
        checks=checks,  # type: ignore[arg-type]
        maximum_body_bytes=100,
    )


async def ask(
    method: str,
    path: str,
    *,
    application: web.Application | None = None,
    options: dict[str, Any] | None = None,
) -> tuple[int, str, Any]:
    async with TestClient(TestServer(application or an_application())) as client:
        answer = await client.request(method, path, **(options or {}))
        body = await answer.read()
        return answer.status, answer.content_type, msgspec.json.decode(body or b"{}")


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "code"),
    [
        (
            "POST",
            "/orders",
            {"data": b"{", "headers": {"Content-Type": "application/json"}},
            400,
            "unreadable-json",
        ),
        ("POST", "/orders", {"json": {"amount_cents": "1"}}, 422, "invalid-body"),
        ("POST", "/orders", {"json": {"amount_cents": 1, "more": 2}}, 422, "invalid-body"),
        ("POST", "/orders", {"data": b"x"}, 415, "not-json"),
        ("POST", "/orders", {"json": {"amount_cents": 1, "pad": "x" * 200}}, 413, "too-large"),
        ("GET", "/orders", {}, 405, "method-not-allowed"),
        ("GET", "/nowhere", {}, 404, "not-found"),
        ("GET", "/me", {}, 401, "missing-token"),
        ("GET", "/me", {"headers": {"Authorization": "Bearer bad"}}, 401, "invalid-token"),
        ("GET", "/admin", {"headers": {"Authorization": "Bearer good"}}, 403, "insufficient-scope"),
        ("GET", "/refuse", {}, 409, "closed"),
        ("GET", "/wait", {}, 503, "unavailable"),
        ("GET", "/fail", {}, 500, "internal-error"),
    ],
)
async def test_every_error_is_a_problem_document(
    method: str, path: str, options: dict[str, object], status: int, code: str
) -> None:
    """RFC 9457, with a stable code and a trace that leads to the logs."""
    answered, media, problem = await ask(method, path, options=options)

    assert (answered, media) == (status, "application/problem+json")
    assert problem["code"] == code
    assert problem["type"] == f"urn:quittance:problem:{code}"
    assert len(str(problem["trace_id"])) == 32


async def test_an_unexpected_error_tells_nothing_of_the_inside() -> None:
    """The detail goes to the logs, not to the caller."""
    _, _, problem = await ask("GET", "/fail")

    assert "secret" not in str(problem)


async def test_a_good_token_names_its_bearer() -> None:
    """The handler learns who calls."""
    status, _, body = await ask("GET", "/me", options={"headers": {"Authorization": "Bearer good"}})

    assert (status, body) == (200, "biller")


async def test_readiness_names_what_is_missing() -> None:
    """One dependency away makes the service not ready, and says which."""
    application = an_application(database=broken, storage=healthy)

    status, _, body = await ask("GET", "/readyz", application=application)

    assert status == 503
    assert list(body["failures"]) == ["database"]


async def test_liveness_does_not_depend_on_a_dependency() -> None:
    """A database that is away must not make Kubernetes kill the service."""
    async with TestClient(TestServer(an_application(database=broken))) as client:
        answer = await client.get("/livez")

        assert answer.status == 200


async def test_the_documentation_describes_the_operations() -> None:
    """OpenAPI 3.1 comes from the operations that are served."""
    _, _, document = await ask("GET", "/openapi.json")

    assert document["openapi"] == "3.1.0"
    paths = document["paths"]
    assert isinstance(paths, dict)
    assert paths["/me"]["get"]["security"] == [{"token": ["orders:read"]}]
    assert "Order" in document["components"]["schemas"]


def test_a_guarded_operation_needs_someone_to_guard_it() -> None:
    """Forgetting the authenticator fails at start, not at the first request."""
    operation = Operation(method="GET", path="/me", handler=whoami, summary="Me.", scope="x")

    with pytest.raises(ValueError, match="authenticator"):
        create_application("test", [operation])


async def test_a_problem_may_point_at_the_culprit() -> None:
    """RFC 6901 pointers lead programs to the wrong field."""

    async def point(_request: web.Request) -> web.Response:
        raise ProblemError(422, "bad-number", "Numéro faux.", pointer="/number")

    application = create_application(
        "test", [Operation(method="GET", path="/", handler=point, summary="Point.")]
    )

    _, _, problem = await ask("GET", "/", application=application)

    assert problem["pointer"] == "/number"
