"""Notification alone between a broker, two push services and a mailbox: what a test sees of it."""

import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import UUID, uuid4

import aiohttp
import asyncpg
from aiohttp import web
from aiohttp.test_utils import TestServer

import notification
from demo import ports
from demo.broker import EmbeddedBroker
from demo.configuration import Secrets
from demo.postgres import EmbeddedPostgres
from demo.processes import ManagedProcess
from gateway.adapters.tokens import TokenSigner
from shared import envelope, kafka, postgres, topics
from shared.environment import CommonSettings
from shared.events import Event, InvoiceAppeared, InvoicePublished
from shared.events.invoice_generated import Payer, StoredFile
from tests.broker.kafka import ApacheKafka
from tests.broker.observing import until

ISSUER = "quittance-gateway"
PORTAL = "https://factures.exemple.test"
# Two names of this machine are two push services to who sends.
HOSTS = ("127.0.0.1", "localhost")


class PushOffice:
    """The stage; use it as an asynchronous context manager."""

    def __init__(self, folder: Path) -> None:
        """Keep databases and logs in `folder`."""
        self.folder = folder
        self.ports = ports.choose()
        self.database_url = ""
        self.processes: dict[str, ManagedProcess] = {}
        self.session: aiohttp.ClientSession
        self._secrets = Secrets()
        self._signer = TokenSigner(self._secrets.signing_key, "", ISSUER)
        self._stack = AsyncExitStack()
        self._producer: kafka.Producer

    async def __aenter__(self) -> Self:
        """Start all of it."""
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop all of it."""
        await self._stack.aclose()

    async def _start(self) -> None:
        enter = self._stack.enter_async_context
        server = await enter(
            EmbeddedPostgres(self.folder / "postgres", port=self.ports["database"])
        )
        self.database_url = await server.create_database("n", role="n", password="of-tests-only")
        steps = postgres.all_migrations("notification", Path(notification.__file__).parent)
        await postgres.migrate(self.database_url, steps)
        is_apache = os.environ.get("TEST_BROKER", "embedded") == "apache"
        if is_apache:
            servers = (await enter(ApacheKafka())).bootstrap_servers
        else:
            log = self.folder / "broker.log"
            embedded = EmbeddedBroker(port=self.ports["kafka"], log=log)
            servers = (await enter(embedded)).bootstrap_servers
        settings = CommonSettings(
            database_url="",
            kafka_bootstrap_servers=servers,
            kafka_idempotent_producer=is_apache,
            http_port=0,
        )
        await topics.declare_topics(settings, partitions=3, replication=1)
        self._producer = kafka.Producer(settings, client_id="test-gateway")
        await self._producer.start()
        self._stack.push_async_callback(self._producer.stop)
        self.session = await enter(aiohttp.ClientSession())
        keys = web.Application()
        keys.router.add_get("/jwks", self._show_keys)
        jwks = await enter(TestServer(keys))
        await self._start_processes(servers, str(jwks.make_url("/jwks")), is_apache=is_apache)

    async def _show_keys(self, _: web.Request) -> web.Response:
        return web.json_response(self._signer.jwks())

    async def _start_processes(self, servers: str, jwks_url: str, *, is_apache: bool) -> None:
        for name in ("push", "payfip"):
            # The second push service takes a port that nothing else uses here.
            arguments = ["-m", "simulators", "push", "--port", str(self.ports[name])]
            await self._run(name, arguments, {}, f"{self.base(name)}/livez")
        mailbox = ["--http-port", str(self.ports["mailbox"]), "--smtp-port"]
        await self._run(
            "mailbox",
            ["-m", "simulators", "mailbox", *mailbox, str(self.ports["smtp"]), "--keep", "50000"],
            {},
            f"{self.base('mailbox')}/livez",
        )
        environment = {
            "DATABASE_URL": self.database_url,
            "KAFKA_BOOTSTRAP_SERVERS": servers,
            "KAFKA_IDEMPOTENT_PRODUCER": "true" if is_apache else "false",
            "HTTP_PORT": str(self.ports["notification"]),
            "JWKS_URL": jwks_url,
            "TOKEN_ISSUER": ISSUER,
            "INSTANCE_NAME": "notification-1",
            "PUBLIC_URL": PORTAL,
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(self.ports["smtp"]),
            "SMTP_SECURITY": "none",
            "MAIL_SENDER_ADDRESS": "ne-pas-repondre@exemple.test",
            "VAPID_PRIVATE_KEY": self._secrets.vapid_key,
            "VAPID_CONTACT": "mailto:exploitation@exemple.test",
            "PUSH_HOSTS": ",".join(HOSTS),
            "PUSH_ALLOW_PRIVATE": "true",
        }
        ready = f"{self.base('notification')}/readyz"
        await self._run("notification", ["-m", "notification", "run"], environment, ready)

    async def _run(
        self, name: str, arguments: list[str], environment: dict[str, str], ready_url: str
    ) -> None:
        process = ManagedProcess(
            name,
            arguments,
            environment=environment,
            log=self.folder / f"{name}.log",
            ready_url=ready_url,
        )
        self.processes[name] = process
        await process.start()
        self._stack.push_async_callback(process.stop)
        await process.wait_ready(self.session)

    async def kill(self) -> None:
        """Kill notification (SIGKILL) and return once its next life works."""
        process = self.processes["notification"]
        restarts = process.restarts
        process.kill()

        async def works_again() -> bool:
            if process.restarts == restarts:
                return False
            try:
                async with self.session.get(f"{self.base('notification')}/readyz") as answer:
                    return answer.status == 200
            except aiohttp.ClientError:
                return False

        await until(works_again, "notification to be back")

    def base(self, name: str) -> str:
        """Return the address of a part."""
        return f"http://127.0.0.1:{self.ports[name]}"

    async def say(self, *events: Event) -> None:
        """Say these as their producers would."""
        now = datetime.now(UTC)
        await self._producer.send_all([envelope.write(event, at=now) for event in events])

    async def rows(self, statement: str, *arguments: object) -> list[Any]:
        """Return what notification's database holds."""
        connection = await asyncpg.connect(self.database_url)
        try:
            return list(await connection.fetch(statement, *arguments))
        finally:
            await connection.close()

    async def count(self, statement: str) -> int:
        """Return the one number of a statement."""
        [row] = await self.rows(statement)
        return int(row[0])

    async def ask(self, method: str, path: str, body: object = None) -> Any:
        """Call notification as the gateway does and return its answer."""
        headers = {"Authorization": f"Bearer {self._signer.own()}"}
        async with self.session.request(
            method, self.base("notification") + path, json=body, headers=headers
        ) as answer:
            assert answer.status < 300, await answer.text()
            return await answer.json() if "json" in answer.content_type else None

    async def subscribe(
        self, account_id: UUID, count: int = 1, *, service: str = "push", host: str = HOSTS[0]
    ) -> list[UUID]:
        """Register devices of an account, each with a subscription at a push service."""
        key = (await self.ask("GET", "/v1/push-key"))["key"]
        made: list[UUID] = []
        for _ in range(count):
            async with self.session.post(
                f"http://{host}:{self.ports[service]}/api/subscriptions",
                json={"applicationServerKey": key},
            ) as answer:
                found = await answer.json()
            device_id = uuid4()
            body = {"endpoint": found["endpoint"], **found["keys"], "language": "fr"}
            await self.ask("PUT", f"/v1/accounts/{account_id}/devices/{device_id}", body)
            made.append(device_id)
        return made

    async def fault(self, name: str, **switches: object) -> None:
        """Set switches of a simulator in place of all others."""
        async with self.session.delete(f"{self.base(name)}/api/faults"):
            pass
        async with self.session.post(f"{self.base(name)}/api/faults", json=switches) as answer:
            assert answer.status == 200

    async def pushes(self, service: str = "push") -> list[dict[str, Any]]:
        """Return what a push service took, opened."""
        async with self.session.get(f"{self.base(service)}/api/pushes") as answer:
            found: list[dict[str, Any]] = await answer.json()
            return found

    async def mails(self, to: str = "") -> list[dict[str, Any]]:
        """Return what is in the mailbox."""
        query = {"to": to} if to else {}
        async with self.session.get(f"{self.base('mailbox')}/api/messages", params=query) as answer:
            found: list[dict[str, Any]] = await answer.json()
            return found


def published(count: int, *, email: str | None = None) -> list[InvoicePublished]:
    """Return invoices that nobody is written to about, unless there is an address."""
    today, now = date(2026, 11, 24), datetime.now(UTC)
    return [
        InvoicePublished(
            invoice_id=uuid4(),
            version=1,
            authority="saint-aubin",
            authority_name="Ville de Saint-Aubin",
            regie="CANTINE",
            regie_label="Restauration scolaire",
            number=f"P-{rank}",
            kind="invoice",
            route="regie",
            subject="Repas",
            issued_on=today,
            due_on=today + timedelta(days=30),
            amount_cents=41_00,
            currency="EUR",
            payer=Payer(
                reference=f"F-{rank}",
                name="Camille Martin",
                email=email and email.format(rank=rank),
            ),
            token=f"{rank:022d}",
            document=StoredFile(key="a.pdf", size_bytes=1, sha256="0" * 64),
            generated_at=now,
            published_at=now,
            readable_until=today + timedelta(days=90),
        )
        for rank in range(count)
    ]


def appeared(invoices: Sequence[InvoicePublished], account_id: UUID) -> list[InvoiceAppeared]:
    """Return that these are in an account."""
    return [
        InvoiceAppeared(
            invoice_id=invoice.invoice_id,
            version=1,
            account_id=account_id,
            authority=invoice.authority,
            regie=invoice.regie,
            appeared_at=invoice.published_at,
        )
        for invoice in invoices
    ]
