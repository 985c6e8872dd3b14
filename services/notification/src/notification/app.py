"""The wiring of notification: consumer, mails, pushes and doors in one process."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from notification.adapters.smtp import SmtpPostbox
from notification.adapters.web_push import VapidKey, WebPushService
from notification.adapters.writer import MailWriter
from notification.api import DeviceDoors, operations
from notification.domain import AddressError, one_line, parse_address
from notification.handlers.on_contact_updated import on_contact_updated
from notification.handlers.on_invoice_appeared import on_invoice_appeared
from notification.handlers.on_invoice_disappeared import on_invoice_disappeared
from notification.handlers.on_invoice_published import on_invoice_published
from notification.handlers.on_letter_due import on_letter_due
from notification.handlers.on_payment_captured import on_payment_captured
from notification.handlers.on_payment_reversed import on_payment_reversed
from notification.handlers.on_reminder_due import on_reminder_due
from notification.ports import Office
from notification.settings import Settings
from notification.store import (
    PostgresDeliveries,
    PostgresDevices,
    PostgresOffice,
    PostgresPushes,
    forget_ended,
)
from notification.worker import (
    BATCH,
    LEASE,
    PUSH_BATCH,
    PUSH_LEASE,
    SIDE_BY_SIDE,
    URGENT_BATCH,
    Mailer,
    Pusher,
)
from shared.addresses import Rule
from shared.auth import JwksAuthenticator
from shared.envelope import Message
from shared.errors import SettingsError, TransientError
from shared.events import (
    ContactUpdated,
    Event,
    InvoiceAppeared,
    InvoiceDisappeared,
    InvoicePublished,
    LetterDue,
    PaymentCaptured,
    PaymentReversed,
    ReminderDue,
)
from shared.http import create_application
from shared.kafka import Consumer, Handler, Producer
from shared.postgres import INBOX_KEPT_FOR, Database, Transaction
from shared.schedule import repeat
from shared.service import Loop, serve
from shared.worker import Worker

SERVICE = "notification"
STALLED_AFTER = timedelta(minutes=3)
"""A consumer that has not come round for this long is stuck, not busy."""


class StalledError(TransientError):
    """The consumer makes no progress."""

    slug = "stalled"


def in_transaction(
    handle: Callable[[Sequence[Message[Any]], Office], Awaitable[None]],
) -> Handler:
    """Return `handle` with its office opened in the consumer's transaction."""

    async def handler(messages: Sequence[Message[Any]], transaction: Transaction) -> None:
        now = transaction.clock.now()
        await handle(messages, PostgresOffice(transaction.connection, now))

    return handler


HANDLERS: Mapping[type[Event], Handler] = {
    InvoicePublished: in_transaction(on_invoice_published),
    PaymentCaptured: in_transaction(on_payment_captured),
    PaymentReversed: in_transaction(on_payment_reversed),
    ReminderDue: in_transaction(on_reminder_due),
    ContactUpdated: in_transaction(on_contact_updated),
    InvoiceAppeared: in_transaction(on_invoice_appeared),
    InvoiceDisappeared: in_transaction(on_invoice_disappeared),
    LetterDue: in_transaction(on_letter_due),
}


def check_settings(settings: Settings) -> None:
    """Refuse settings with which no mail could, or should, leave.

    Raises:
        SettingsError: says which.
    """
    try:
        parse_address(settings.mail_sender_address)
    except AddressError as error:
        message = "MAIL_SENDER_ADDRESS is not an e-mail address"
        raise SettingsError(message) from error
    if settings.smtp_username and settings.smtp_security == "none":
        message = "SMTP_USERNAME would send the password in clear: set SMTP_SECURITY"
        raise SettingsError(message)
    if not settings.public_url.startswith(("https://", "http://")):
        message = "PUBLIC_URL must start with https:// or http://"
        raise SettingsError(message)
    if settings.smtp_connections < 1:
        message = "SMTP_CONNECTIONS must be at least 1"
        raise SettingsError(message)
    if settings.messages_kept_days < INBOX_KEPT_FOR.days:
        message = f"MESSAGES_KEPT_DAYS must be at least {INBOX_KEPT_FOR.days}: a replay tells again"
        raise SettingsError(message)


def push_rule(settings: Settings) -> Rule:
    """Return which push services may be called."""
    hosts = (host.strip().lower().removeprefix("*") for host in settings.push_hosts.split(","))
    return Rule(
        allows_private=settings.push_allow_private,
        allowed_hosts=tuple(host for host in hosts if host),
    )


def push_key(settings: Settings) -> VapidKey | None:
    """Return the key that push services know us by, or None where nothing is pushed.

    Raises:
        SettingsError: the key or the contact cannot be used, or no push service is allowed.
    """
    if not settings.vapid_private_key:
        return None
    if not push_rule(settings).allowed_hosts:
        message = "PUSH_HOSTS names no push service: an empty list would allow every host"
        raise SettingsError(message)
    return VapidKey(settings.vapid_private_key, settings.vapid_contact)


class Mailroom:
    """The mails: one lane for letters about accounts, one for all others, on one mail server."""

    def __init__(self, settings: Settings, database: Database) -> None:
        """Send what is due in `database`."""
        self._postbox = SmtpPostbox(
            settings.smtp_host,
            settings.smtp_port,
            security=settings.smtp_security,
            username=settings.smtp_username,
            password=settings.smtp_password,
            ca_file=settings.smtp_ca_file,
            # The lane of letters about accounts has a connection that no bulk can hold.
            connections=settings.smtp_connections + 1,
        )
        writer = MailWriter(
            public_url=settings.public_url,
            sender_address=parse_address(settings.mail_sender_address),
            sender_name=one_line(settings.mail_sender_name),
        )
        self._lanes = [
            (
                is_urgent,
                PostgresDeliveries(
                    database, instance=settings.instance_name, lease=LEASE, is_urgent=is_urgent
                ),
            )
            for is_urgent in (True, False)
        ]
        self.wakes = [asyncio.Event() for _ in self._lanes]
        self.loops: list[Loop] = []
        for (is_urgent, deliveries), wake in zip(self._lanes, self.wakes, strict=True):
            mailer = Mailer(deliveries, writer, self._postbox, database.clock)
            worker = Worker(
                "letters" if is_urgent else "mail",
                claim=mailer.claim,
                perform=mailer.perform,
                batch=URGENT_BATCH if is_urgent else BATCH,
                concurrency=1 if is_urgent else settings.smtp_connections,
                wake=wake,
            )
            self.loops.append(worker.run)

    async def release_own(self) -> None:
        """Let go of what an earlier life of this replica held."""
        for _, deliveries in self._lanes:
            await deliveries.release_own()

    async def close(self) -> None:
        """Take leave of the mail server."""
        await self._postbox.close()


class Pushroom:
    """The pushes, where there is a key to sign them with."""

    def __init__(self, settings: Settings, database: Database, key: VapidKey) -> None:
        """Send what is due in `database`."""
        services = settings.push_services_at_once
        self._pushes = PostgresPushes(database, instance=settings.instance_name, lease=PUSH_LEASE)
        self._service = WebPushService(
            key, push_rule(settings), database.clock, calls=services * SIDE_BY_SIDE
        )
        pusher = Pusher(self._pushes, self._service, database.clock)
        self.wakes = [asyncio.Event()]
        self.loops: list[Loop] = [
            Worker(
                "push",
                claim=pusher.claim,
                perform=pusher.perform,
                batch=PUSH_BATCH,
                concurrency=services,
                wake=self.wakes[0],
            ).run
        ]

    async def release_own(self) -> None:
        """Let go of what an earlier life of this replica held."""
        await self._pushes.release_own()

    async def close(self) -> None:
        """Close what is open."""
        await self._service.close()


async def wake_all(
    added: asyncio.Event, wakes: Sequence[asyncio.Event], stopping: asyncio.Event
) -> None:
    """Tell every worker that there is work: each clears the event that it sees."""
    told = asyncio.create_task(stopping.wait())
    try:
        while not stopping.is_set():
            waiting = asyncio.create_task(added.wait())
            await asyncio.wait([waiting, told], return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            added.clear()
            for wake in wakes:
                wake.set()
    finally:
        told.cancel()


async def run(settings: Settings) -> None:
    """Consume, send and answer until told to stop."""
    check_settings(settings)
    key = push_key(settings)
    database = await Database.connect(
        settings.database_url, size=settings.database_pool_size, service=SERVICE
    )
    # Nothing is published: the producer is there for the dead letters only.
    producer = Producer(settings, client_id=f"quittance-{SERVICE}")
    rooms: list[Mailroom | Pushroom] = [Mailroom(settings, database)]
    if key is not None:
        rooms.append(Pushroom(settings, database, key))
    consumer = Consumer(SERVICE, settings, database, producer, HANDLERS)

    async def alive() -> None:
        if datetime.now(UTC) - consumer.progressed_at > STALLED_AFTER:
            message = f"no progress since {consumer.progressed_at.isoformat()}"
            raise StalledError(message)

    doors = DeviceDoors(
        PostgresDevices(database),
        push_rule(settings),
        database.clock,
        key.public if key is not None else "",
    )
    application = create_application(
        SERVICE,
        operations(doors),
        authenticator=JwksAuthenticator(settings.jwks_url, settings.token_issuer),
        checks={"database": database.ready},
        alive=alive,
    )
    wakes = [wake for room in rooms for wake in room.wakes]

    async def tidy() -> int:
        await database.forget_old_messages()
        kept = timedelta(days=settings.messages_kept_days)
        return await forget_ended(database, database.clock.now() - kept)

    loops: list[Loop] = [
        consumer.run,
        *(loop for room in rooms for loop in room.loops),
        partial(wake_all, database.work_added, wakes),
        partial(repeat, "tidy", tidy, settings.tidy_interval_seconds),
    ]
    try:
        await producer.start()
        for room in rooms:
            await room.release_own()
        await serve(application, settings, loops)
    finally:
        for room in rooms:
            await asyncio.shield(room.close())
        await producer.stop()
        await database.close()
