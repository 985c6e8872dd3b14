"""The wiring of notification: consumer, mailer and probes in one process."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from notification.adapters.smtp import SmtpPostbox
from notification.adapters.writer import MailWriter
from notification.domain import AddressError, one_line, parse_address
from notification.handlers.on_contact_updated import on_contact_updated
from notification.handlers.on_invoice_published import on_invoice_published
from notification.handlers.on_payment_captured import on_payment_captured
from notification.handlers.on_payment_reversed import on_payment_reversed
from notification.handlers.on_reminder_due import on_reminder_due
from notification.ports import Office
from notification.schedule import tidy_regularly
from notification.settings import Settings
from notification.store import PostgresDeliveries, PostgresOffice
from notification.worker import BATCH, LEASE, Mailer
from shared.envelope import Message
from shared.errors import SettingsError, TransientError
from shared.events import (
    ContactUpdated,
    Event,
    InvoicePublished,
    PaymentCaptured,
    PaymentReversed,
    ReminderDue,
)
from shared.http import create_application
from shared.kafka import Consumer, Handler, Producer
from shared.postgres import Database, Transaction
from shared.service import serve
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


async def run(settings: Settings) -> None:
    """Consume, send and answer probes until told to stop."""
    check_settings(settings)
    database = await Database.connect(
        settings.database_url, size=settings.database_pool_size, service=SERVICE
    )
    # Nothing is published: the producer is there for the dead letters only.
    producer = Producer(settings, client_id=f"quittance-{SERVICE}")
    postbox = SmtpPostbox(
        settings.smtp_host,
        settings.smtp_port,
        security=settings.smtp_security,
        username=settings.smtp_username,
        password=settings.smtp_password,
        ca_file=settings.smtp_ca_file,
        connections=settings.smtp_connections,
    )
    deliveries = PostgresDeliveries(database, instance=settings.instance_name, lease=LEASE)
    writer = MailWriter(
        public_url=settings.public_url,
        sender_address=parse_address(settings.mail_sender_address),
        sender_name=one_line(settings.mail_sender_name),
    )
    mailer = Mailer(deliveries, writer, postbox, database.clock)
    worker = Worker(
        "mail",
        claim=mailer.claim,
        perform=mailer.perform,
        batch=BATCH,
        concurrency=settings.smtp_connections,
        wake=database.work_added,
    )
    consumer = Consumer(SERVICE, settings, database, producer, HANDLERS)

    async def alive() -> None:
        if datetime.now(UTC) - consumer.progressed_at > STALLED_AFTER:
            message = f"no progress since {consumer.progressed_at.isoformat()}"
            raise StalledError(message)

    application = create_application(SERVICE, [], checks={"database": database.ready}, alive=alive)
    try:
        await producer.start()
        await deliveries.release_own()
        tidy = partial(tidy_regularly, database.forget_old_messages, settings.tidy_interval_seconds)
        await serve(application, settings, [consumer.run, worker.run, tidy])
    finally:
        await asyncio.shield(postbox.close())
        await producer.stop()
        await database.close()
