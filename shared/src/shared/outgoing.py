"""HTTP to addresses that strangers chose: public ones only, briefly, with nothing followed.

The name is resolved and the very address that was judged is connected to (OWASP ASVS 1.3.6).
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from shared.addresses import ForbiddenUrlError, Rule, require_callable

Lookup = Callable[[str], Sequence[str]]


class ForbiddenAddressError(OSError):
    """What the connector hears from us; it is an OSError so that it comes back in one piece."""


def look_up(host: str) -> list[str]:
    """Return the addresses of a name; blocks as long as the system's resolver likes."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class WayOut:
    """An HTTP session that reaches what `rule` allows. Make one within a running loop.

    Names are resolved in threads of its own: where a stranger's name server does not answer,
    threads wait for a long time, and must not be those in which the others' names are resolved.
    """

    def __init__(
        self,
        rule: Rule,
        *,
        name: str,
        calls: int,
        timeout_seconds: float,
        lookup: Lookup = look_up,
        keeps_connections: bool = False,
    ) -> None:
        """Call as `name`; `calls` is how many there are at a time, `timeout_seconds` for each.

        Without `keeps_connections` each call resolves and judges anew.
        """
        self._rule = rule
        self._lookup = lookup
        # A call gives up before its thread does, so there are more threads than calls.
        self._threads = ThreadPoolExecutor(2 * calls, thread_name_prefix=f"{name}-names")
        connector = aiohttp.TCPConnector(
            resolver=_Resolver(self.resolve),
            use_dns_cache=False,
            force_close=not keeps_connections,
            limit=0,
            socket_factory=self._open_socket,
        )
        self.session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=timeout_seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": f"{name}/1.0", "Accept-Encoding": "identity"},
            # A small compressed answer may unfold to a large one.
            auto_decompress=False,
            trust_env=False,
        )

    async def close(self) -> None:
        """Close what is open."""
        await self.session.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def resolve(self, host: str) -> Sequence[str]:
        """Return a name's addresses if all of them may be called.

        Raises:
            ForbiddenAddressError: one may not.
        """
        loop = asyncio.get_running_loop()
        addresses = await loop.run_in_executor(self._threads, self._lookup, host)
        self._require(addresses)
        return addresses

    def _require(self, addresses: Sequence[str]) -> None:
        try:
            require_callable(addresses, self._rule)
        except ForbiddenUrlError as error:
            raise ForbiddenAddressError(str(error)) from error

    def _open_socket(self, info: tuple[Any, ...]) -> socket.socket:
        # The last door: whatever way an address came, this is the one that is connected to.
        self._require([str(info[4][0])])
        opened = socket.socket(*info[:3])
        opened.settimeout(0)
        return opened


class _Resolver(AbstractResolver):
    """Gives the connector the addresses that were judged, and no others."""

    def __init__(self, resolve: Callable[[str], Awaitable[Sequence[str]]]) -> None:
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


async def beginning(answer: aiohttp.ClientResponse, size_bytes: int) -> bytes:
    """Return at most `size_bytes` of an answer's body, however that ends."""
    content = bytearray()
    try:
        while len(content) < size_bytes:
            piece = await answer.content.read(size_bytes - len(content))
            if not piece:
                break
            content += piece
    except (TimeoutError, aiohttp.ClientError):
        # The status is the answer.
        pass
    return bytes(content)


def printable(text: str, characters: int) -> str:
    """Return the beginning of a text that may quote what a stranger sent, fit for a database."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:characters])
