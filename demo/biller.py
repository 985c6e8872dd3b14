"""A billing application: token, deposits, states, collections, over the public doors."""

import asyncio
import time
from typing import Any

import aiohttp
import msgspec

WAIT_SECONDS = 60.0
POLL_SECONDS = 0.1


class BillerError(Exception):
    """A door answered something else than it should."""


class Biller:
    """Speaks for one biller's credentials."""

    def __init__(self, endpoints: dict[str, Any], session: aiohttp.ClientSession) -> None:
        """Use the addresses and the credentials of `endpoints`."""
        self._endpoints = endpoints
        self._session = session
        self._token = ""

    async def log_in(self) -> None:
        """Obtain an access token (RFC 6749, client credentials)."""
        biller = self._endpoints["biller"]
        async with self._session.post(
            self._endpoints["token"],
            data={"grant_type": "client_credentials"},
            headers={
                "Authorization": aiohttp.encode_basic_auth(
                    biller["client_id"], biller["client_secret"]
                )
            },
        ) as answer:
            self._token = (await _expect(answer, 200))["access_token"]

    @property
    def headers(self) -> dict[str, str]:
        """The header that proves who calls."""
        return {"Authorization": f"Bearer {self._token}"}

    async def deposit_json(
        self, invoices: list[dict[str, Any]], *, key: str | None = None
    ) -> dict[str, Any]:
        """Deposit invoices as JSON, under an idempotency key if given, and return the receipt."""
        headers = self.headers | ({"Idempotency-Key": key} if key else {})
        async with self._session.post(
            f"{self._endpoints['deposits']}/v1/deposits",
            json={"invoices": invoices},
            headers=headers,
        ) as answer:
            return await _expect(answer, 202)

    async def deposit_with_files(
        self, invoices: list[dict[str, Any]], files: dict[str, bytes]
    ) -> dict[str, Any]:
        """Deposit invoices as JSON with their PDF parts and return the receipt."""
        form = aiohttp.FormData()
        form.add_field(
            "deposit",
            msgspec.json.encode({"invoices": invoices}),
            content_type="application/json",
            filename="deposit.json",
        )
        for name, content in files.items():
            form.add_field(name, content, filename=f"{name}.pdf", content_type="application/pdf")
        async with self._session.post(
            f"{self._endpoints['deposits']}/v1/deposits", data=form, headers=self.headers
        ) as answer:
            return await _expect(answer, 202)

    async def deposit_facturx(self, content: bytes, regie: str) -> dict[str, Any]:
        """Deposit a Factur-X file for a régie and return the receipt."""
        async with self._session.post(
            f"{self._endpoints['deposits']}/v1/deposits",
            params={"regie": regie},
            data=content,
            headers={**self.headers, "Content-Type": "application/pdf"},
        ) as answer:
            return await _expect(answer, 202)

    async def lines(self, deposit_id: str) -> list[dict[str, Any]]:
        """Return the lines of a deposit."""
        async with self._session.get(
            f"{self._endpoints['deposits']}/v1/deposits/{deposit_id}/lines", headers=self.headers
        ) as answer:
            lines: list[dict[str, Any]] = (await _expect(answer, 200))["lines"]
            return lines

    async def invoice(self, invoice_id: str) -> dict[str, Any]:
        """Return the state of an invoice."""
        async with self._session.get(
            f"{self._endpoints['deposits']}/v1/invoices/{invoice_id}", headers=self.headers
        ) as answer:
            return await _expect(answer, 200)

    async def wait_published(self, invoice_id: str, version: int = 1) -> dict[str, Any]:
        """Return publication's state once that version is public.

        Raises:
            BillerError: it was refused, or is not public in time.
        """
        deadline = time.monotonic() + WAIT_SECONDS
        state: dict[str, Any] = {}
        while time.monotonic() < deadline:
            state = (await self.invoice(invoice_id)).get("publication") or {}
            if state.get("published_version") == version:
                return state
            if state.get("state") == "refused":
                break
            await asyncio.sleep(POLL_SECONDS)
        message = f"invoice {invoice_id} is not published: {state}"
        raise BillerError(message)

    async def collections(self, after: str | None = None) -> dict[str, Any]:
        """Return a page of the feed of payments."""
        async with self._session.get(
            f"{self._endpoints['collections']}/v1/collections",
            params={"after": after} if after else {},
            headers=self.headers,
        ) as answer:
            return await _expect(answer, 200)

    async def print_file(self, invoice_id: str) -> bytes:
        """Return the PDF to print."""
        async with self._session.get(
            f"{self._endpoints['deposits']}/v1/invoices/{invoice_id}/print.pdf",
            headers=self.headers,
        ) as answer:
            if answer.status != 200:
                message = f"{answer.status} {await answer.text()}"
                raise BillerError(message)
            return await answer.read()


async def _expect(answer: aiohttp.ClientResponse, status: int) -> dict[str, Any]:
    if answer.status != status:
        message = f"{answer.method} {answer.url} answered {answer.status}: {await answer.text()}"
        raise BillerError(message)
    content: dict[str, Any] = await answer.json(content_type=None)
    return content
