"""HTTP to addresses that strangers chose: public ones only, once, briefly, with nothing followed.

The name is resolved and the very address that was judged is connected to (OWASP ASVS 1.3.6).
"""

import asyncio
import socket
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from reconciliation.domain.addresses import (
    ForbiddenUrlError,
    Rule,
    read_url,
    require_callable,
)
from reconciliation.domain.webhooks import Outcome, outcome_of
from reconciliation.ports import Call

TIMEOUT_SECONDS = 15.0
"""For everything: name, connection, request, answer."""
CHECK_SECONDS = 5.0
KEPT_BYTES = 1024
"""How much of an answer is read."""
KEPT_DETAIL = 300
USER_AGENT = "Quittance-Webhooks/1.0"

Lookup = Callable[[str], Sequence[str]]


class _ForbiddenAddressError(OSError):
    """What the connector hears from us; it is an OSError so that it comes back in one piece."""


def look_up(host: str) -> list[str]:
    """Return the addresses of a name; blocks as long as the system's resolver likes."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class WebhookSender:
    """The way out; see `ports.Sender`. Make one for each lane, within a running loop.

    Names are resolved in threads of its own: where a biller's name server does not answer, threads
    wait for a long time, and must not be those in which the others' names are resolved.
    """

    def __init__(
        self,
        rule: Rule,
        *,
        calls: int,
        lookup: Lookup = look_up,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        """Call what `rule` allows; `calls` is how many there are at a time."""
        self._rule = rule
        self._timeout_seconds = timeout_seconds
        self._lookup = lookup
        # A call gives up before its thread does, so there are more threads than calls.
        self._threads = ThreadPoolExecutor(2 * calls, thread_name_prefix="webhook-names")
        connector = aiohttp.TCPConnector(
            resolver=_Resolver(self._resolve),
            use_dns_cache=False,
            # Each call resolves and judges anew.
            force_close=True,
            limit=0,
            socket_factory=self._open_socket,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=timeout_seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
            # A small compressed answer may unfold to a large one.
            auto_decompress=False,
            trust_env=False,
        )

    async def close(self) -> None:
        """Close what is open."""
        await self._session.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def check(self, url: str) -> None:
        """Return if the address may be called.

        Raises:
            ForbiddenUrlError: it may not, or its name leads nowhere.
        """
        target = read_url(url, self._rule)
        if target.is_literal:
            return
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await self._resolve(target.host)
        except _ForbiddenAddressError as error:
            raise ForbiddenUrlError(str(error)) from error
        except (OSError, UnicodeError) as error:
            reason = "Cet hôte n’a pas d’adresse."
            raise ForbiddenUrlError(reason) from error

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Call:
        """Post once and return how it ended, within seconds; never follows a redirect."""
        try:
            # Judged at every call: the rule may have changed since it was registered.
            read_url(url, self._rule)
            async with self._session.post(
                url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                return Call(
                    outcome=outcome_of(answer.status),
                    status=answer.status,
                    answer=await _beginning(answer),
                )
        except ForbiddenUrlError as error:
            return Call(outcome=Outcome.FORBIDDEN, detail=str(error))
        except TimeoutError:
            return Call(outcome=Outcome.SILENT, detail=f"no answer in {self._timeout_seconds:g} s")
        except aiohttp.ClientConnectorError as error:
            is_forbidden = isinstance(error.os_error, _ForbiddenAddressError)
            outcome = Outcome.FORBIDDEN if is_forbidden else Outcome.UNREACHABLE
            return Call(outcome=outcome, detail=_printable(str(error.os_error)))
        except (aiohttp.ClientError, OSError, UnicodeError, ValueError) as error:
            return Call(outcome=Outcome.UNREACHABLE, detail=_printable(repr(error)))

    async def _resolve(self, host: str) -> Sequence[str]:
        """Return a name's addresses if all of them may be called."""
        loop = asyncio.get_running_loop()
        addresses = await loop.run_in_executor(self._threads, self._lookup, host)
        self._require(addresses)
        return addresses

    def _require(self, addresses: Sequence[str]) -> None:
        try:
            require_callable(addresses, self._rule)
        except ForbiddenUrlError as error:
            raise _ForbiddenAddressError(str(error)) from error

    def _open_socket(self, info: tuple[Any, ...]) -> socket.socket:
        # The last door: whatever way an address came, this is the one that is connected to.
        self._require([str(info[4][0])])
        opened = socket.socket(*info[:3])
        opened.settimeout(0)
        return opened


class _Resolver(AbstractResolver):
    """Gives the connector the addresses that were judged, and no others."""

    def __init__(self, resolve: Callable[[str], Any]) -> None:
        self._resolve = resolve

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        del family
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in await self._resolve(host)
        ]

    async def close(self) -> None:
        return


def _printable(text: str) -> str:
    """Return the beginning of a text that may quote what a stranger sent, fit for a database."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:KEPT_DETAIL])


async def _beginning(answer: aiohttp.ClientResponse) -> bytes:
    """Return at most the first kilobyte; the status is the answer, however its body ends."""
    content = bytearray()
    try:
        while len(content) < KEPT_BYTES:
            piece = await answer.content.read(KEPT_BYTES - len(content))
            if not piece:
                break
            content += piece
    except (TimeoutError, aiohttp.ClientError):
        pass
    return bytes(content)
