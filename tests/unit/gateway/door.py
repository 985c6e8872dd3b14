"""What the tests of the gateway share: builders, fakes of what is beyond it, and a browser."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode
from uuid import UUID, uuid4

import aiohttp
import jinja2
import lxml.html
import pyotp
from aiohttp.test_utils import TestClient, TestServer
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from yarl import URL

from gateway.adapters.tokens import TokenSigner
from gateway.adapters.vault import Vault, sealing_keys
from gateway.api.site import Network, Site, see_other
from gateway.api.templates import TEMPLATES
from gateway.api.web import log_in, pages, set_up
from gateway.app import FORM_BYTES, operations
from gateway.ports.identity import IdentityProvider
from gateway.store import PostgresPeople, PostgresPortal, digest
from gateway.store.lookups import PostgresLookups
from shared.clock import FixedClock
from shared.events import InvoicePublished, InvoiceWithdrawn, ReminderDue
from shared.events.invoice_generated import Kind, Payer, Route, StoredFile
from shared.http import create_application
from shared.postgres import Database
from tests.unit.gateway.fake_notifications import FakeNotifications
from tests.unit.gateway.fakes import PAYFIP, PROVIDER, FakePasswords, FakeServices

NOW = datetime(2026, 11, 24, 13, 5, tzinfo=UTC)
TODAY = date(2026, 11, 24)
INVOICE_ID = UUID("00000000-0000-5000-8000-000000000001")
OTHER_INVOICE_ID = UUID("00000000-0000-5000-8000-000000000002")
TOKEN = "abcdefghijklmnopqrstuv"
OTHER_TOKEN = "vutsrqponmlkjihgfedcba"
EMAIL = "camille.martin@exemple.test"
PASSWORD = "tilleul-marche-fontaine"
TOTP_SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
CLIENT_ID, CLIENT_SECRET = "facturation", "an-example-of-256-random-bits-0123456789"
ISSUER = "https://factures.exemple.test"


def a_signing_key() -> str:
    """Return a private key as PEM."""
    return (
        ec.generate_private_key(ec.SECP256R1())
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        .decode()
    )


SIGNER = TokenSigner(a_signing_key(), "", ISSUER)
SEALING_KEYS = sealing_keys("a key of tests", "")


def an_invoice(
    *,
    invoice_id: UUID = INVOICE_ID,
    token: str = TOKEN,
    version: int = 1,
    number: str = "2026-0042",
    amount_cents: int = 4150,
    due_on: date = TODAY + timedelta(days=20),
    kind: Kind = "invoice",
    route: Route = "regie",
    regie: str = "CANTINE",
    email: str | None = EMAIL,
    subject: str = "Restauration scolaire, octobre",
) -> InvoicePublished:
    return InvoicePublished(
        invoice_id=invoice_id,
        version=version,
        authority="saint-aubin",
        authority_name="Ville de Saint-Aubin",
        regie=regie,
        regie_label="Restauration scolaire",
        number=number,
        kind=kind,
        route=route,
        subject=subject,
        issued_on=date(2026, 11, 1),
        due_on=due_on,
        amount_cents=amount_cents,
        currency="EUR",
        payer=Payer(reference="FAM-0042", name="Camille Martin", email=email),
        token=token,
        document=StoredFile(key="a.pdf", size_bytes=1, sha256="0" * 64),
        generated_at=NOW,
        published_at=NOW,
        readable_until=TODAY + timedelta(days=90),
    )


def three() -> tuple[InvoicePublished, ...]:
    """Return three invoices of one régie, the oldest debt first."""
    ids = (INVOICE_ID, OTHER_INVOICE_ID, UUID("00000000-0000-5000-8000-000000000003"))
    return tuple(
        an_invoice(
            invoice_id=invoice_id,
            token=f"{position:022d}",
            number="2026-0042" if position == 1 else str(position),
            due_on=TODAY + timedelta(days=position),
            subject=f"Cantine {position}",
        )
        for position, invoice_id in enumerate(ids, start=1)
    )


def a_withdrawal(version: int = 1) -> InvoiceWithdrawn:
    return InvoiceWithdrawn(
        invoice_id=INVOICE_ID,
        version=version,
        authority="saint-aubin",
        regie="CANTINE",
        number="2026-0042",
        reason="doublon",
        withdrawn_at=NOW,
    )


def a_reminder(at: datetime = NOW) -> ReminderDue:
    return ReminderDue(
        invoice_id=INVOICE_ID,
        version=1,
        level=1,
        authority="saint-aubin",
        regie="CANTINE",
        number="2026-0042",
        due_on=TODAY,
        outstanding_cents=4150,
        currency="EUR",
        decided_at=at,
    )


class Page:
    """What came back."""

    def __init__(self, answer: aiohttp.ClientResponse, content: bytes) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self.cookies = answer.cookies
        self.content = content

    @property
    def location(self) -> str:
        return self.headers["Location"]

    @property
    def text(self) -> str:
        """The words on the page, every space made plain."""
        words = " ".join(str(part) for part in lxml.html.fromstring(self.content).itertext())
        return " ".join(words.replace("\u202f", " ").replace("\u00a0", " ").split())

    def element(self, path: str) -> Any:
        """Return the one element of an XPath."""
        [found] = self.elements(path)
        return found

    @property
    def alert(self) -> str:
        """What the summary of errors says, every space made plain."""
        words = str(self.element("//div[@role='alert']").text_content())
        return " ".join(words.split())

    def elements(self, path: str) -> list[Any]:
        """Return what an XPath finds."""
        tree: Any = lxml.html.fromstring(self.content)
        return list(tree.xpath(path))

    def pairs(self, action: str) -> list[tuple[str, str]]:
        """Return the fields of the first form for `action`, as a browser would send them."""
        form = next(form for form in self._forms() if form.action == action)
        return [(str(name), str(value)) for name, value in form.form_values()]

    def fields(self, action: str) -> dict[str, str]:
        """Return the fields of the first form for `action`."""
        form = next(form for form in self._forms() if form.action == action)
        return {str(name): str(value) for name, value in form.form_values()}

    def actions(self) -> list[str]:
        return [str(form.action) for form in self._forms()]

    def _forms(self) -> list[Any]:
        tree: Any = lxml.html.fromstring(self.content)
        return list(tree.forms)


class Door:
    """A browser before a portal of its own; it keeps cookies and follows nothing by itself."""

    def __init__(
        self,
        database: Database,
        clock: FixedClock,
        services: FakeServices,
        passwords: FakePasswords,
        *,
        is_secure: bool = False,
        trusted_proxies: tuple[Network, ...] = (),
        france_connect: IdentityProvider | None = None,
    ) -> None:
        self.database, self.clock, self.services = database, clock, services
        self.pauses: list[float] = []
        self.notifications = FakeNotifications()
        self._application = create_application(
            "gateway",
            operations(services, passwords, SIGNER, self.notifications),
            authenticator=SIGNER,
            maximum_body_bytes=FORM_BYTES,
            middlewares=[pages],
        )
        site = Site(
            open_portal=self.portal,
            lookups=PostgresLookups(database),
            clock=clock,
            public_url=ISSUER,
            payment_origins=(PROVIDER, PAYFIP),
            is_secure=is_secure,
            form_key=b"a key of tests",
            trusted_proxies=trusted_proxies,
            sealing_keys=SEALING_KEYS,
            pause=self._note_pause,
            france_connect=france_connect,
        )
        set_up(self._application, site)
        self._application.router.add_get("/entering-of-tests", self._get_entering)
        self._client = self._new_client()

    def _new_client(self) -> "TestClient[aiohttp.web.Request, aiohttp.web.Application]":
        jar = aiohttp.CookieJar(unsafe=True)
        return TestClient(TestServer(self._application), cookie_jar=jar)

    async def __aenter__(self) -> Self:
        await self._client.start_server()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._client.close()

    async def _note_pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    @asynccontextmanager
    async def portal(self) -> AsyncIterator[PostgresPortal]:
        async with self.database.transaction() as transaction:
            yield PostgresPortal(transaction)

    async def publish(self, *invoices: InvoicePublished) -> None:
        async with self.portal() as portal:
            await portal.keep_invoices(invoices)

    async def count(self, table: str) -> int:
        async with self.database.reading() as connection:
            found: int = await connection.fetchval(f"SELECT count(*) FROM {table}")
            return found

    async def get(self, path: str, **headers: str) -> Page:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self._client.get(path, allow_redirects=False, headers=named) as answer:
            return Page(answer, await answer.read())

    async def post(
        self,
        path: str,
        fields: Mapping[str, str] | list[tuple[str, str]] | bytes,
        headers: Mapping[str, str] | None = None,
    ) -> Page:
        """Send a form as it is, with no seal of ours."""
        async with self._client.post(
            path, data=fields, allow_redirects=False, headers=headers
        ) as answer:
            return Page(answer, await answer.read())

    async def send(self, page: Page, action: str, **typed: str) -> Page:
        """Fill in a form of a page and send it, as a browser does."""
        pairs = [(name, typed.pop(name, value)) for name, value in page.pairs(action)]
        pairs += list(typed.items())
        form = page.element(f"(//form[@action={action!r}])[1]")
        if str(form.get("method")) == "get":
            return await self.get(f"{action}?{urlencode(pairs)}")
        return await self.post(action, pairs)

    async def submit(
        self,
        path: str,
        fields: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Page:
        """Send a form as our own pages do."""
        seal = (await self.get("/accessibilite")).fields("/langue")["formulaire"]
        return await self.post(path, {"formulaire": seal, **(fields or {})}, headers)

    @property
    def address(self) -> URL:
        """Where it listens, for what no browser would send."""
        return self._client.make_url("/")

    @property
    def templates(self) -> jinja2.Environment:
        return self._application[TEMPLATES["fr"]]

    def cookie(self, name: str) -> str:
        found = [cookie.value for cookie in self._client.session.cookie_jar if cookie.key == name]
        return found[0] if found else ""

    def forget_cookies(self) -> None:
        self._client.session.cookie_jar.clear()

    def set_cookie(self, name: str, value: str) -> None:
        self._client.session.cookie_jar.update_cookies({name: value})

    async def add_account(self, *, email: str = EMAIL, verified: bool = True) -> UUID:
        account_id = uuid4()
        async with self.database.transaction() as transaction:
            await PostgresPeople(transaction.connection).keep_account(
                account_id, email, f"hash of {PASSWORD}", NOW if verified else None, NOW
            )
        return account_id

    async def log_in(self, *, email: str = EMAIL, verified: bool = True) -> UUID:
        account_id = await self.add_account(email=email, verified=verified)
        page = await self.submit("/connexion", {"email": email, "password": PASSWORD})
        assert page.status == 303, page.text
        return account_id

    def totp_code(self, secret: str = TOTP_SECRET, periods: int = 0) -> str:
        """Return the code that an application shows now, or so many half minutes later."""
        return pyotp.TOTP(secret).at(self.clock.now() + periods * timedelta(seconds=30))

    async def log_in_agent(self) -> Page:
        """Give the password and the code of the town's agent."""
        await self.submit("/regie/connexion", {"login": "Regisseur", "password": PASSWORD})
        return await self.submit(
            "/connexion/verification", {"moyen": "totp", "code": self.totp_code()}
        )

    async def enter(self, account_id: UUID, method: str) -> Page:
        """Come in as FranceConnect's page or a letter's link let one in."""
        self.method, self.entering = method, account_id
        return await self.get("/entering-of-tests")

    async def _get_entering(self, request: aiohttp.web.Request) -> aiohttp.web.Response:
        response = see_other("/factures")
        await log_in(request, response, account_id=self.entering, method=self.method)
        return response

    async def add_town(self, *, has_factor: bool = True) -> None:
        content = b'{"regies":[{"code":"CANTINE","label":"Restauration scolaire"}]}'
        async with self.database.transaction() as transaction:
            people = PostgresPeople(transaction.connection)
            await people.keep_authority("saint-aubin", "Ville de Saint-Aubin", 1, content)
            await people.keep_agent("regisseur", f"hash of {PASSWORD}", "saint-aubin")
            if has_factor:
                sealed = Vault(SEALING_KEYS).seal(TOTP_SECRET.encode())
                await people.set_totp("regisseur", "Application de codes", sealed, NOW)
            await people.keep_biller(
                CLIENT_ID,
                digest(CLIENT_SECRET),
                "saint-aubin",
                ["CANTINE"],
                ["deposits:write", "deposits:read"],
            )
