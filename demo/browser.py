"""A browser without scripts: pages, links and forms as a person without JavaScript meets them."""

from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import urljoin

import aiohttp
import lxml.html
from yarl import URL


class PageError(Exception):
    """A page is not what a person would need to go on."""


class Page:
    """A page that was opened."""

    def __init__(self, url: str, status: int, content: bytes) -> None:
        """Parse the page."""
        self.url = url
        self.status = status
        self.content = content
        self.tree: Any = lxml.html.fromstring(content.strip() or b"<html></html>")

    @property
    def text(self) -> str:
        """What is written on the page, spaces made plain."""
        words = str(self.tree.text_content()).replace("\u202f", " ").replace("\u00a0", " ")
        return " ".join(words.split())

    def require(self, *texts: str) -> None:
        """Check that each text is on the page.

        Raises:
            PageError: one is not.
        """
        for text in texts:
            plain = text.replace("\u202f", " ").replace("\u00a0", " ")
            if plain not in self.text:
                message = f"« {plain} » is not on {self.url} ({self.status}): {self.text[:600]}"
                raise PageError(message)

    def form(self, action: str) -> lxml.html.FormElement:
        """Return the first form whose action contains `action`.

        Raises:
            PageError: there is none.
        """
        for form in self.tree.forms:
            if action in (form.action or self.url):
                return form
        message = f"no form for {action} on {self.url} ({self.status}): {self.text[:600]}"
        raise PageError(message)


class Browser:
    """Keeps cookies, follows redirects, submits forms."""

    def __init__(self) -> None:
        """Start with an empty cookie jar."""
        self._session = aiohttp.ClientSession(
            cookie_jar=aiohttp.CookieJar(unsafe=True), timeout=aiohttp.ClientTimeout(total=30)
        )

    async def __aenter__(self) -> Self:
        """Open the browser."""
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Close the browser."""
        await self._session.close()

    async def open(self, url: str) -> Page:
        """Return the page at `url`."""
        async with self._session.get(url, headers={"Accept": "text/html"}) as answer:
            return Page(str(answer.url), answer.status, await answer.read())

    async def download(self, url: str) -> tuple[int, str, bytes]:
        """Return status, media type and content of what is at `url`."""
        async with self._session.get(url) as answer:
            return answer.status, answer.content_type, await answer.read()

    async def submit(
        self,
        page: Page,
        action: str,
        values: Mapping[str, str] | None = None,
        button: tuple[str, str] | None = None,
    ) -> Page:
        """Fill in the form for `action` and send it, as if `button` (name, value) was pressed."""
        form = page.form(action)
        fields = [(str(name), str(value)) for name, value in form.form_values()]
        wanted = dict(values or {})
        fields = [(name, wanted.pop(name, value)) for name, value in fields]
        fields += list(wanted.items())
        if button is not None:
            fields.append(button)
        target = urljoin(page.url, form.action or page.url)
        origin = str(URL(page.url).origin())
        headers = {"Accept": "text/html", "Origin": origin, "Referer": page.url}
        if (form.method or "GET").upper() == "GET":
            request = self._session.get(target, params=fields, headers=headers)
        else:
            request = self._session.post(target, data=fields, headers=headers)
        async with request as answer:
            return Page(str(answer.url), answer.status, await answer.read())
