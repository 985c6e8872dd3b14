"""The wiring of the gateway."""

import asyncio
import hmac
import ipaddress
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any
from uuid import UUID

import aiohttp
import msgspec

from gateway.adapters.france_connect import FranceConnect
from gateway.adapters.france_connect_terms import terms_of
from gateway.adapters.notifications import NotificationService
from gateway.adapters.passwords import Passwords
from gateway.adapters.services import Services
from gateway.adapters.tokens import TokenSigner
from gateway.adapters.vault import Vault, sealing_keys
from gateway.api.accounts import Accounts
from gateway.api.activity import Activity
from gateway.api.alerts import Alerts
from gateway.api.appearance import Appearances
from gateway.api.archive import Archive
from gateway.api.choosing import Choosing
from gateway.api.delegates import Delegates
from gateway.api.documents import Documents
from gateway.api.downloads import Downloads
from gateway.api.factors import Factors
from gateway.api.france_connect import LOGOUT_RETURN_PATH, RETURN_PATH, FranceConnectPages
from gateway.api.invitations import Invitations
from gateway.api.invoices import InvoicePages
from gateway.api.legal import Legal
from gateway.api.linking import Linking
from gateway.api.oauth import OAuth
from gateway.api.paperless import PaperlessDoor
from gateway.api.passkeys import Passkeys
from gateway.api.paying import Paying
from gateway.api.personal_data import PersonalData
from gateway.api.profile import Profile
from gateway.api.proofs import Proofs
from gateway.api.pwa import AppFiles
from gateway.api.receipts import Receipts
from gateway.api.recovery import Recovery
from gateway.api.regie import Regie
from gateway.api.retrieving import Retrieving
from gateway.api.returning import Returning
from gateway.api.scan import Scanner
from gateway.api.sessions import Sessions
from gateway.api.site import OpenPortal, Site
from gateway.api.templates import compile_all
from gateway.api.verification import Verification
from gateway.api.web import pages, set_up
from gateway.handlers.on_invoice_published import on_invoice_published
from gateway.handlers.on_invoice_withdrawn import on_invoice_withdrawn
from gateway.handlers.on_payment_captured import on_payment_captured
from gateway.handlers.on_payment_reversed import on_payment_reversed
from gateway.handlers.on_reminder_due import on_reminder_due
from gateway.ports import Notifications, OtherServices, PasswordKeeper, ReadModel
from gateway.ports.lookups import Lookups
from gateway.settings import Settings
from gateway.store import PostgresPortal
from gateway.store.lookups import PostgresLookups
from shared.clock import Clock
from shared.envelope import Message
from shared.errors import SettingsError
from shared.events import (
    InvoicePublished,
    InvoiceWithdrawn,
    PaymentCaptured,
    PaymentReversed,
    ReminderDue,
)
from shared.http import Operation, create_application
from shared.kafka import Consumer, Handler, Producer
from shared.outbox import Relay
from shared.postgres import Database, Transaction
from shared.schedule import repeat
from shared.service import serve

SERVICE = "gateway"
FORM_BYTES = 65_536
"""No form of the portal is longer."""
ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]+)?")
"""No path, nor anything that would end a directive of the content policy."""


async def run(settings: Settings) -> None:
    """Run the gateway until it is told to stop."""
    signer = TokenSigner(
        settings.token_signing_key, settings.token_previous_key, settings.token_issuer
    )
    database = await Database.connect(
        settings.database_url, size=settings.database_pool_size, service=SERVICE
    )
    clock = database.clock
    producer = Producer(settings, client_id=f"quittance-{SERVICE}")
    consumer = _consumer(settings, database, producer)

    @asynccontextmanager
    async def open_portal() -> AsyncIterator[PostgresPortal]:
        async with database.transaction() as transaction:
            yield PostgresPortal(transaction)

    async def tidy() -> int:
        await database.forget_old_messages()
        async with database.transaction() as transaction:
            return await PostgresPortal(transaction).tidy_all(clock.now())

    async def tidy_regularly(stopping: asyncio.Event) -> None:
        await repeat("tidy", tidy, settings.tidy_interval_seconds, stopping)

    if settings.token_previous_key:
        await _seal_anew(database, settings)
    passwords = Passwords()
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        services = Services(
            session,
            signer.own,
            payment_url=settings.payment_url,
            publication_url=settings.publication_url,
            figures_url=settings.figures_url,
            reconciliation_url=settings.reconciliation_url,
        )
        notifications = NotificationService(session, signer.own, settings.notification_url)
        application = create_application(
            SERVICE,
            operations(services, passwords, signer, notifications),
            authenticator=signer,
            checks={"database": database.ready},
            alive=consumer.alive,
            maximum_body_bytes=FORM_BYTES,
            middlewares=[pages],
        )
        site = site_of_settings(settings, open_portal, PostgresLookups(database), clock)
        set_up(application, with_france_connect(site, settings, session))
        compile_all(application)
        relay = Relay(database, producer)
        try:
            await serve(application, settings, [consumer.run, relay.run, tidy_regularly])
        finally:
            passwords.close()
            await producer.stop()
            await database.close()


def operations(
    services: OtherServices,
    passwords: PasswordKeeper,
    signer: TokenSigner,
    notifications: Notifications,
) -> list[Operation]:
    """Return all that the gateway serves."""
    invoices = InvoicePages(services)
    choosing = Choosing(services, invoices)
    return [
        *Accounts(passwords).operations(),
        *Proofs(passwords).operations(),
        *Recovery(passwords).operations(),
        *Profile(passwords).operations(),
        *PersonalData(passwords).operations(),
        *Activity().operations(),
        *invoices.operations(),
        *Linking(invoices).operations(),
        *Retrieving().operations(),
        *Delegates().operations(),
        *Invitations().operations(),
        *Documents(services, invoices).operations(),
        *Archive(services).operations(),
        *Downloads(services).operations(),
        *Receipts(services, invoices).operations(),
        *choosing.operations(),
        *Paying(services, choosing).operations(),
        *Returning(services, choosing).operations(),
        *Regie(services, passwords).operations(),
        *Verification(passwords).operations(),
        *Factors().operations(),
        *Passkeys().operations(),
        *Sessions().operations(),
        *FranceConnectPages().operations(),
        *Appearances().operations(),
        *Legal().operations(),
        *AppFiles().operations(),
        *Scanner().operations(),
        *Alerts(notifications).operations(),
        *OAuth(signer).operations(),
        *PaperlessDoor().operations(),
    ]


def site_of_settings(
    settings: Settings, open_portal: OpenPortal, lookups: Lookups, clock: Clock
) -> Site:
    """Return what the pages need.

    Raises:
        SettingsError: an address is not one.
    """
    if not settings.public_url.startswith(("https://", "http://")):
        message = "PUBLIC_URL must start with https:// or http://"
        raise SettingsError(message)
    if settings.cookie_secure and not settings.public_url.startswith("https://"):
        message = "COOKIE_SECURE needs a PUBLIC_URL with https://: no browser would log in"
        raise SettingsError(message)
    try:
        proxies = tuple(
            ipaddress.ip_network(text, strict=False) for text in settings.trusted_proxies.split()
        )
    except ValueError as error:
        message = f"TRUSTED_PROXIES: {error}"
        raise SettingsError(message) from error
    origins = tuple(settings.payment_page_origins.split())
    if not all(ORIGIN.fullmatch(origin) for origin in origins):
        message = "PAYMENT_PAGE_ORIGINS must be origins, such as https://secure.payzen.eu"
        raise SettingsError(message)
    return Site(
        open_portal=open_portal,
        lookups=lookups,
        clock=clock,
        public_url=settings.public_url.rstrip("/"),
        payment_origins=origins,
        is_secure=settings.cookie_secure,
        # Another key for another purpose, the same in every replica.
        form_key=hmac.digest(settings.token_signing_key.strip().encode(), b"forms", sha256),
        trusted_proxies=proxies,
        sealing_keys=sealing_keys(settings.token_signing_key, settings.token_previous_key),
    )


def with_france_connect(site: Site, settings: Settings, session: aiohttp.ClientSession) -> Site:
    """Return the site with FranceConnect, or as it is where the settings name none.

    Raises:
        SettingsError: they name one by half, or one that could not work.
    """
    terms = terms_of(
        issuer=settings.franceconnect_issuer,
        client_id=settings.franceconnect_client_id,
        client_secret=settings.franceconnect_client_secret,
        redirect_uri=f"{site.public_url}{RETURN_PATH}",
        logout_uri=f"{site.public_url}{LOGOUT_RETURN_PATH}",
        acr=settings.franceconnect_acr,
        is_userinfo_signed=settings.franceconnect_signed_userinfo,
        has_pkce=settings.franceconnect_pkce,
        clock_skew_seconds=settings.franceconnect_clock_skew_seconds,
    )
    if terms is None:
        return site
    provider = FranceConnect(session, terms, Vault(site.sealing_keys), site.clock)
    return msgspec.structs.replace(site, france_connect=provider)


async def _seal_anew(database: Database, settings: Settings) -> None:
    """Seal with the key in use what the one before it sealed, so that that one can go."""
    vault = Vault(sealing_keys(settings.token_signing_key, settings.token_previous_key))
    last: UUID | None = UUID(int=0)
    while last is not None:
        async with database.transaction() as transaction:
            last = await PostgresPortal(transaction).seal_anew(last, vault)


def _shown(
    handle: Callable[[Sequence[Message[Any]], ReadModel], Awaitable[None]],
) -> Handler:
    async def handler(messages: Sequence[Message[Any]], transaction: Transaction) -> None:
        await handle(messages, PostgresPortal(transaction))

    return handler


def _consumer(settings: Settings, database: Database, producer: Producer) -> Consumer:
    return Consumer(
        SERVICE,
        settings,
        database,
        producer,
        {
            InvoicePublished: _shown(on_invoice_published),
            InvoiceWithdrawn: _shown(on_invoice_withdrawn),
            PaymentCaptured: _shown(on_payment_captured),
            PaymentReversed: _shown(on_payment_reversed),
            ReminderDue: _shown(on_reminder_due),
        },
    )
