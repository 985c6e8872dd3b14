"""The HTTP side of every service: operations, tokens, limits, problems, probes, metrics."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec
import prometheus_client
import structlog
from aiohttp import web

from shared import metrics, trace
from shared.auth import Authenticator, InvalidTokenError, Principal
from shared.errors import DomainError, PermanentError, TransientError
from shared.postgres import RETRYABLE_ERRORS
from shared.problem import Problem, ProblemError, problem_response

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

T = TypeVar("T")
HttpHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Check = Callable[[], Awaitable[None]]

MAXIMUM_BODY_BYTES = 1_048_576
CHECK_TIMEOUT_SECONDS = 3.0
RETRY_AFTER_SECONDS = 5

PRINCIPAL = web.RequestKey("principal", Principal)


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method on one path, as it is served and as it is documented."""

    method: str
    path: str
    handler: HttpHandler
    summary: str
    scope: str | None = None
    """Scope that the bearer token must carry; None for a public operation."""
    request: type | None = None
    """Struct of the JSON body, for the documentation."""
    request_types: tuple[str, ...] = ("application/json",)
    raw_types: tuple[str, ...] = ()
    """Media types of a body that is taken as it is, for the documentation."""
    responses: Mapping[int, type | str] = field(default_factory=dict)
    """Struct of the JSON answer, or the media type of another one, by status."""
    query: Mapping[str, str] = field(default_factory=dict)
    """Query parameters and what they mean."""
    query_patterns: Mapping[str, str] = field(default_factory=dict)
    """Regular expressions that query parameters follow, for the documentation."""
    tags: tuple[str, ...] = ()


def create_application(
    service: str,
    operations: Sequence[Operation],
    *,
    authenticator: Authenticator | None = None,
    checks: Mapping[str, Check] | None = None,
    alive: Check | None = None,
    maximum_body_bytes: int = MAXIMUM_BODY_BYTES,
    middlewares: Sequence[Any] = (),
) -> web.Application:
    """Return an application that serves `operations` with probes, metrics and documentation.

    `checks` decide readiness; `alive` decides liveness and never looks at a dependency.
    """
    # Imported here because the documentation describes operations, which this module defines.
    from shared.openapi import documentation_operations  # noqa: PLC0415

    application = web.Application(
        client_max_size=maximum_body_bytes, middlewares=[_observe, *middlewares, _translate]
    )
    probes = _probes(checks or {}, alive)
    documented = documentation_operations(service, operations)
    for operation in (*operations, *documented, *probes):
        handler = operation.handler
        if operation.scope is not None:
            if authenticator is None:
                message = f"{operation.path} needs an authenticator"
                raise ValueError(message)
            handler = _guarded(handler, operation.scope, authenticator)
        application.router.add_route(operation.method, operation.path, handler)
    return application


def principal(request: web.Request) -> Principal:
    """Return who calls a guarded operation."""
    found: Principal = request[PRINCIPAL]
    return found


async def read_json(request: web.Request, struct: type[T]) -> T:
    """Return the request's JSON body as `struct`.

    Raises:
        ProblemError: 415 not JSON, 413 too large, 400 not readable, 422 not of that shape.
    """
    if request.content_type != "application/json":
        raise ProblemError(415, "not-json", "Le corps de la requête doit être du JSON.")
    body = await request.read()
    try:
        return msgspec.json.decode(body, type=struct)
    except msgspec.ValidationError as error:
        raise ProblemError(
            422, "invalid-body", f"Le corps de la requête n’a pas la forme attendue : {error}"
        ) from error
    except msgspec.DecodeError as error:
        raise ProblemError(
            400, "unreadable-json", f"Le corps de la requête n’est pas du JSON : {error}"
        ) from error


def page_limit(request: web.Request, *, default: int, most: int) -> int:
    """Return how many items a page of a list is to have, as the query's `limit` says.

    Raises:
        ProblemError: 400, it is not a number from 1 to `most`.
    """
    limit = request.query.get("limit", str(default))
    is_number = limit.isdecimal() and limit.isascii() and len(limit) <= len(str(most))
    if not (is_number and 1 <= int(limit) <= most):
        raise ProblemError(400, "invalid-limit", f"« limit » va de 1 à {most}.")
    return int(limit)


def json_response(
    content: object, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return `content` as JSON; structs and dates are written by msgspec."""
    return web.Response(
        status=status,
        body=msgspec.json.encode(content),
        content_type="application/json",
        headers=headers,
    )


def _guarded(handler: HttpHandler, scope: str, authenticator: Authenticator) -> HttpHandler:
    async def guarded(request: web.Request) -> web.StreamResponse:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise ProblemError(
                401,
                "missing-token",
                "Un jeton d’accès est requis.",
                headers={"WWW-Authenticate": "Bearer"},
            )
        try:
            caller = await authenticator.authenticate(token.strip())
        except InvalidTokenError as error:
            raise ProblemError(
                401,
                "invalid-token",
                "Le jeton d’accès n’est pas valable ou a expiré.",
                headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
            ) from error
        if scope not in caller.scopes:
            raise ProblemError(
                403,
                "insufficient-scope",
                f"Le jeton d’accès ne porte pas le droit « {scope} ».",
                headers={"WWW-Authenticate": 'Bearer error="insufficient_scope"'},
            )
        request[PRINCIPAL] = caller
        return await handler(request)

    return guarded


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unknown"


@web.middleware
async def _observe(request: web.Request, handler: HttpHandler) -> web.StreamResponse:
    started = time.perf_counter()
    traceparent = trace.start(request.headers.get("traceparent"))
    trace.current.set(traceparent)
    status = 500
    try:
        response = await handler(request)
        status = response.status
    except web.HTTPException as error:
        status = error.status
        raise
    else:
        return response
    finally:
        metrics.HTTP_SECONDS.labels(request.method, _route(request), str(status)).observe(
            time.perf_counter() - started
        )


@web.middleware
async def _translate(request: web.Request, handler: HttpHandler) -> web.StreamResponse:
    """The one place where an error becomes an HTTP answer."""
    trace_id = trace.trace_id(trace.current.get() or trace.start())
    try:
        return await handler(request)
    except ProblemError as error:
        return problem_response(error, trace_id)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return problem_response(_from_aiohttp(error), trace_id)
    except DomainError as error:
        return problem_response(ProblemError(409, error.slug, str(error)), trace_id)
    except (TransientError, *RETRYABLE_ERRORS) as error:
        logger.warning("temporarily unavailable", route=_route(request), error=repr(error))
        slug = error.slug if isinstance(error, TransientError) else "unavailable"
        unavailable = ProblemError(
            503,
            slug,
            "Le service est momentanément indisponible, réessayez dans quelques secondes.",
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
        )
        return problem_response(unavailable, trace_id)
    except PermanentError as error:
        logger.exception("request failed for good", route=_route(request))
        return problem_response(ProblemError(500, error.slug, _UNEXPECTED), trace_id)
    except asyncio.CancelledError:
        raise
    except Exception:
        logger.exception("unexpected error", route=_route(request))
        return problem_response(ProblemError(500, "internal-error", _UNEXPECTED), trace_id)


_UNEXPECTED = "Une erreur inattendue s’est produite. Elle est enregistrée sous le numéro ci-joint."
_FRENCH = {
    404: ("not-found", "Rien ne se trouve à cette adresse."),
    405: ("method-not-allowed", "Cette méthode n’est pas permise ici."),
    413: ("too-large", "Le contenu envoyé dépasse la taille permise."),
}


def _from_aiohttp(error: web.HTTPException) -> ProblemError:
    slug, detail = _FRENCH.get(error.status, ("http-error", error.reason))
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    return ProblemError(error.status, slug, detail, headers=headers)


def _probes(checks: Mapping[str, Check], alive: Check | None) -> list[Operation]:
    async def livez(_request: web.Request) -> web.Response:
        if alive is not None:
            try:
                await alive()
            except TransientError as error:
                return web.Response(status=503, text=str(error))
        return web.Response(text="alive")

    async def readyz(_request: web.Request) -> web.Response:
        async def failure(check: Check) -> str:
            try:
                await asyncio.wait_for(check(), CHECK_TIMEOUT_SECONDS)
            except Exception as error:  # noqa: BLE001 - a probe reports whatever is wrong
                return repr(error)
            return ""

        found = await asyncio.gather(*(failure(check) for check in checks.values()))
        failures = {name: text for name, text in zip(checks, found, strict=True) if text}
        return json_response(
            {"ready": not failures, "failures": failures}, status=503 if failures else 200
        )

    async def measures(_request: web.Request) -> web.Response:
        return web.Response(
            body=prometheus_client.generate_latest(),
            headers={"Content-Type": prometheus_client.CONTENT_TYPE_LATEST},
        )

    def get(path: str, handler: HttpHandler, summary: str) -> Operation:
        return Operation(method="GET", path=path, handler=handler, summary=summary)

    return [
        get("/livez", livez, "The process makes progress."),
        get("/readyz", readyz, "The service can do its work now."),
        get("/metrics", measures, "Prometheus metrics."),
    ]


__all__ = [
    "Operation",
    "Problem",
    "ProblemError",
    "create_application",
    "json_response",
    "principal",
    "read_json",
]
