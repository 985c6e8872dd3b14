"""Errors as RFC 9457 problem documents: a stable slug for programs, plain French for people."""

from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from aiohttp import web

TYPE_PREFIX = "urn:quittance:problem:"


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of an error answer; `pointer` (RFC 6901) says which part of the request is wrong."""

    type: str
    title: str
    status: int
    detail: str = ""
    code: str = ""
    pointer: str = ""
    trace_id: str = ""


class ProblemError(Exception):
    """Raised by a handler to answer with a problem document."""

    def __init__(
        self,
        status: int,
        slug: str,
        detail: str,
        *,
        pointer: str = "",
        headers: dict[str, str] | None = None,
        extensions: Mapping[str, str | int] | None = None,
    ) -> None:
        """Answer `status`; `slug` is stable and public, `detail` is a French sentence.

        `extensions` are further members of the document (RFC 9457, 3.2).
        """
        super().__init__(f"{status} {slug}: {detail}")
        self.status = status
        self.slug = slug
        self.detail = detail
        self.pointer = pointer
        self.headers = headers or {}
        self.extensions = dict(extensions or {})

    def document(self, trace_id: str = "") -> Problem:
        """Return the body to send."""
        return Problem(
            type=TYPE_PREFIX + self.slug,
            title=HTTPStatus(self.status).phrase,
            status=self.status,
            detail=self.detail,
            code=self.slug,
            pointer=self.pointer,
            trace_id=trace_id,
        )


def problem_response(error: ProblemError, trace_id: str = "") -> web.Response:
    """Return the answer for `error`."""
    return web.Response(
        status=error.status,
        body=msgspec.json.encode(error.extensions | msgspec.to_builtins(error.document(trace_id))),
        content_type="application/problem+json",
        headers=error.headers,
    )
