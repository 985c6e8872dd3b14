"""Calls to our other services, with the gateway's own token."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import aiohttp
import msgspec
import structlog

from gateway.ports import RefusedError, ServiceUnavailableError

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

T = TypeVar("T")

TIMEOUT = aiohttp.ClientTimeout(total=15, connect=3)
QUICK = aiohttp.ClientTimeout(total=3, connect=1)
"""For what a page can be shown without."""
LONGEST_ANSWER_BYTES = 1_048_576
DONE = frozenset({200, 201, 202, 204, 304})


class Calls:
    """What every adapter of a service of ours does: ask, and tell a refusal from a failure."""

    def __init__(self, session: aiohttp.ClientSession, token: Callable[[], str]) -> None:
        """Call through `session`, with what `token` returns."""
        self._session = session
        self._token = token

    async def _call(
        self,
        method: str,
        address: str,
        shape: type[T],
        *,
        body: object = None,
        query: dict[str, str] | None = None,
        timeout: aiohttp.ClientTimeout = TIMEOUT,  # noqa: ASYNC109 - aiohttp's own
    ) -> T:
        async with self._answer(method, address, body=body, query=query, timeout=timeout) as answer:
            received = await _read(answer)
        try:
            return msgspec.json.decode(received, type=shape)
        except msgspec.DecodeError as error:
            logger.warning("answer not understood", address=address, error=str(error))
            raise ServiceUnavailableError(str(error)) from error

    @asynccontextmanager
    async def _answer(
        self,
        method: str,
        address: str,
        *,
        body: object = None,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        timeout: aiohttp.ClientTimeout = TIMEOUT,  # noqa: ASYNC109 - aiohttp's own
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = (headers or {}) | {"Authorization": f"Bearer {self._token()}"}
        content = None
        if body is not None:
            content = msgspec.json.encode(body)
            headers["Content-Type"] = "application/json"
        try:
            async with self._session.request(
                method,
                address,
                params=query,
                data=content,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
            ) as answer:
                if answer.status not in DONE:
                    raise _refusal(answer.status, await _read(answer), address)
                yield answer
        except (aiohttp.ClientError, TimeoutError) as error:
            logger.warning("service did not answer", address=address, error=repr(error))
            raise ServiceUnavailableError(repr(error)) from error


async def read_bounded(answer: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    """Return an answer whole.

    Raises:
        ServiceUnavailableError: it is longer than anything that should come.
    """
    received = await _read(answer, most_bytes + 1)
    if len(received) > most_bytes:
        message = f"more than {most_bytes} bytes from {answer.url}"
        raise ServiceUnavailableError(message)
    return received


async def _read(answer: aiohttp.ClientResponse, most_bytes: int = LONGEST_ANSWER_BYTES) -> bytes:
    received = bytearray()
    while not answer.content.at_eof() and len(received) < most_bytes:
        received += await answer.content.read(most_bytes - len(received))
    return bytes(received)


def _refusal(status: int, received: bytes, address: str) -> RefusedError | ServiceUnavailableError:
    """Return what to raise: a refusal is the payer's business, a refused token is ours."""
    if status >= 500 or status in (401, 403) or status < 400:
        logger.warning("service failed", address=address, status=status)
        message = f"{status} from {address}"
        return ServiceUnavailableError(message)
    try:
        problem = msgspec.json.decode(received, type=dict[str, Any])
    except msgspec.DecodeError:
        problem = {}
    return RefusedError(status, problem)
