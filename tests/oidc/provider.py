"""The certified provider of `provider.mjs` as a process, and a browser that walks through it."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import aiohttp
import lxml.html

from tests.unit.gateway.state import CLIENT_ID, CLIENT_SECRET, LOGOUT_URI, REDIRECT_URI

FOLDER = Path(__file__).parent
SANDBOX_ID = "portail-du-bac-a-sable"
START_SECONDS = 30
HOPS = 10


def clients() -> list[dict[str, Any]]:
    """Return two clients, as the habilitation and as the sandbox describe them."""
    whole: dict[str, Any] = {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "redirect_uris": [REDIRECT_URI],
        "post_logout_redirect_uris": [LOGOUT_URI],
        "response_types": ["code"],
        "grant_types": ["authorization_code"],
        "token_endpoint_auth_method": "client_secret_post",
        "id_token_signed_response_alg": "ES256",
        "userinfo_signed_response_alg": "ES256",
        "subject_type": "pairwise",
    }
    sandbox = whole | {"client_id": SANDBOX_ID}
    del sandbox["userinfo_signed_response_alg"]
    return [whole, sandbox]


@dataclass(frozen=True)
class Provider:
    """The running provider."""

    issuer: str
    session: aiohttp.ClientSession

    async def rotate_keys(self) -> None:
        """Have it sign with another key, and forget the one before."""
        async with self.session.post(urljoin(self.issuer, "/rotate")) as answer:
            assert answer.status == 200

    async def open(self, address: str) -> tuple[str, str]:
        """Follow its redirects; return where a browser stands then, and the page if it is one."""
        for _ in range(HOPS):
            if not address.startswith(self.issuer):
                return address, ""
            async with self.session.get(address, allow_redirects=False) as answer:
                if answer.status not in (302, 303):
                    return address, await answer.text()
                address = urljoin(address, answer.headers["Location"])
        message = f"more than {HOPS} redirects, the last one to {address}"
        raise AssertionError(message)

    async def submit(self, address: str, page: str, **typed: str) -> str:
        """Send the form of a page; return where the browser is led out of the provider."""
        tree: Any = lxml.html.fromstring(page)
        [form] = tree.forms
        fields = {str(name): str(value) for name, value in form.form_values()} | typed
        target = urljoin(address, form.action)
        async with self.session.post(target, data=fields, allow_redirects=False) as answer:
            assert answer.status in (302, 303), await answer.text()
            left, shown = await self.open(urljoin(target, answer.headers["Location"]))
        assert not shown, shown
        return left

    async def answer(self, address: str, person: str) -> str:
        """Be a person at the address to which the portal led; return where that leads back."""
        at, page = await self.open(address)
        return await self.submit(at, page, person=person)

    async def log_out(self, address: str) -> str:
        """Agree to the logout to which the portal led; return where that leads back."""
        at, page = await self.open(address)
        return await self.submit(at, page, logout="yes")


@asynccontextmanager
async def running_provider(described: Iterable[dict[str, Any]]) -> AsyncIterator[Provider]:
    """Run the provider on a free port of this machine."""
    process = await asyncio.create_subprocess_exec(
        "node",
        "provider.mjs",
        json.dumps(list(described)),
        cwd=FOLDER,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        said = b""
        async with asyncio.timeout(START_SECONDS):
            while not said.startswith(b"listening on "):
                said = await process.stdout.readline()
                assert said, "the provider ended before it listened"
        issuer = said.decode().removeprefix("listening on ").strip()
        reading = asyncio.create_task(process.stdout.read())
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            yield Provider(issuer, session)
        process.terminate()
        await reading
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
