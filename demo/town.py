"""The whole stack on this machine: database, broker, simulators, services, two authorities."""

import asyncio
import json
import os
import secrets
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import asyncpg

from demo import configuration, ports
from demo.broker import EmbeddedBroker
from demo.configuration import Secrets
from demo.postgres import EmbeddedPostgres
from demo.processes import ManagedProcess
from shared import postgres, topics
from shared.environment import CommonSettings

ROOT = Path(__file__).resolve().parents[1]
SERVICES = ("gateway", "ingestion", "publication", "payment", "reconciliation", "notification")
SIMULATORS = ("card_provider", "mailbox", "payfip", "push", "france_connect")
ISSUER = "quittance-gateway"
PARTITIONS = 3
KNOWN_SECONDS = 30.0
PUSH_HOSTS = (
    "fcm.googleapis.com,updates.push.services.mozilla.com,*.push.apple.com,*.notify.windows.com"
)

Progress = Callable[[str], None]


class Town:
    """A running town; use it as an asynchronous context manager.

    KAFKA_BOOTSTRAP_SERVERS, DATABASE_URL and STORAGE_URL (with S3_*) point it at real ones, else it
    starts its own. It stops what it started and nothing else.
    """

    def __init__(
        self,
        folder: Path,
        *,
        progress: Progress,
        kafka_servers: str | None = None,
        overrides: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """Keep state and logs in `folder`; `overrides` adds variables to a process by its name."""
        self.folder = folder
        self.ports = ports.choose()
        self.secrets = Secrets()
        self.processes: dict[str, ManagedProcess] = {}
        self.database_url = ""
        self.kafka_servers = kafka_servers or os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "")
        self._is_idempotent = bool(self.kafka_servers)
        self._progress = progress
        self._overrides = overrides or {}
        self._stack = AsyncExitStack()
        self._passwords: dict[str, str] = {}
        self._databases: dict[str, str] = {}

    def url(self, name: str) -> str:
        """Return the base address of a part of the town."""
        # Browsers make passkeys for names, and for no bare address.
        host = "localhost" if name == "portal" else "127.0.0.1"
        return f"http://{host}:{self.ports[name]}"

    def database_of(self, service: str) -> str:
        """Return the address of a service's own database."""
        return self._databases[service]

    async def __aenter__(self) -> Self:
        """Start everything, in order; return once every part says that it is ready."""
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
        """Stop everything that was started, services first."""
        await self._stack.aclose()

    async def _start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        await asyncio.gather(
            self._step("database", self._start_database), self._step("broker", self._start_broker)
        )
        await asyncio.gather(
            self._step("topics", self._declare_topics), self._step("tables", self._migrate)
        )
        self._stack.push_async_callback(self._stop_processes)
        await self._step("simulators and services", self._start_processes)
        await self._step("authorities", self._load_authorities)

    async def _step(self, name: str, action: Callable[[], Awaitable[None]]) -> None:
        started = asyncio.get_running_loop().time()
        await action()
        self._progress(f"{name:<26} {asyncio.get_running_loop().time() - started:6.1f} s")

    async def _start_database(self) -> None:
        server = await self._stack.enter_async_context(
            EmbeddedPostgres(
                self.folder / "postgres",
                port=self.ports["database"],
                url=os.environ.get("DATABASE_URL"),
            )
        )
        self.database_url = server.url
        for service in SERVICES:
            self._databases[service] = await server.create_database(
                f"quittance_{service}",
                role=f"quittance_{service}",
                password=secrets.token_urlsafe(18),
                fresh=True,
            )

    async def _start_broker(self) -> None:
        if not self.kafka_servers:
            broker = await self._stack.enter_async_context(
                EmbeddedBroker(port=self.ports["kafka"], log=self.folder / "logs" / "broker.log")
            )
            self.kafka_servers = broker.bootstrap_servers

    def _common(self, service: str) -> dict[str, str]:
        return {
            "DATABASE_URL": self._databases[service],
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka_servers,
            "KAFKA_IDEMPOTENT_PRODUCER": "true" if self._is_idempotent else "false",
            "HTTP_PORT": str(self.ports["portal" if service == "gateway" else service]),
            "JWKS_URL": self.url("portal") + "/.well-known/jwks.json",
            "TOKEN_ISSUER": ISSUER,
            "INSTANCE_NAME": f"{service}-1",
            "PUBLIC_URL": self.url("portal"),
            "STORAGE_URL": os.environ.get(
                "STORAGE_URL", f"file://{(self.folder / 'storage').resolve()}"
            ),
        }

    async def _declare_topics(self) -> None:
        settings = CommonSettings(
            database_url="", kafka_bootstrap_servers=self.kafka_servers, http_port=0
        )
        await topics.declare_topics(
            settings,
            partitions=PARTITIONS,
            replication=1,
            foreign=[
                f"biller.deposited.{biller['client_id']}"
                for biller in configuration.town(self.secrets)["billers"]
                if biller.get("kafka")
            ],
        )

    async def _migrate(self) -> None:
        async def migrate(service: str) -> None:
            package = ROOT / "services" / service / "src" / service
            steps = postgres.all_migrations(service, package)
            await postgres.migrate(self._databases[service], steps)

        await asyncio.gather(*(migrate(service) for service in SERVICES))

    def _environment_of(self, name: str) -> dict[str, str]:
        """Return the variables of a process of ours, by its name."""
        service = "reconciliation" if name == "figures" else name
        own: dict[str, dict[str, str]] = {
            "gateway": {
                "TOKEN_SIGNING_KEY": self.secrets.signing_key,
                "PAYMENT_URL": self.url("payment"),
                "PUBLICATION_URL": self.url("publication"),
                "FIGURES_URL": self.url("figures"),
                "NOTIFICATION_URL": self.url("notification"),
                "RECONCILIATION_URL": self.url("reconciliation"),
                "PAYMENT_PAGE_ORIGINS": f"{self.url('card_provider')} {self.url('payfip')}",
                "COOKIE_SECURE": "false",
                "FRANCECONNECT_ISSUER": f"{self.url('france_connect')}/api/v2",
                "FRANCECONNECT_CLIENT_ID": configuration.FRANCE_CONNECT_CLIENT,
                "FRANCECONNECT_CLIENT_SECRET": self.secrets.france_connect_secret,
            },
            "ingestion": {"PUBLICATION_URL": self.url("publication")},
            "payment": {
                "PUBLIC_NOTIFY_URL": self.url("payment"),
                "PROVIDER_ACCOUNTS_FILE": str((self.folder / "provider-accounts.json").resolve()),
            },
            "reconciliation": {
                "REMINDER_INTERVAL_SECONDS": "5",
                "CLOSING_INTERVAL_SECONDS": "5",
                "WEBHOOK_KEY": self.secrets.webhook_key,
                # Billers of the demo run on this machine.
                "WEBHOOK_ALLOW_PRIVATE": "true",
            },
            "figures": {
                "HTTP_PORT": str(self.ports["figures"]),
                "FIGURES_HTTP_PORT": str(self.ports["figures"]),
                "FIGURES_DATA_DIR": str((self.folder / "figures").resolve()),
                "FIGURES_PARTITIONS": str(PARTITIONS),
                # The embedded broker holds a new group back for half of this time.
                "FIGURES_REBALANCE_SECONDS": "6",
            },
            "notification": {
                "SMTP_HOST": "127.0.0.1",
                "SMTP_PORT": str(self.ports["smtp"]),
                "SMTP_SECURITY": "none",
                "MAIL_SENDER_ADDRESS": "ne-pas-repondre@quittance.example",
                "VAPID_PRIVATE_KEY": self.secrets.vapid_key,
                "VAPID_CONTACT": "mailto:exploitation@quittance.example",
                # Beside its own push service, those of the browsers that visit the demo.
                "PUSH_HOSTS": f"127.0.0.1,{PUSH_HOSTS}",
                "PUSH_ALLOW_PRIVATE": "true",
            },
        }
        return {
            **self._common(service),
            **own.get(name, {}),
            **self._overrides.get(name, {}),
        }

    async def _start_processes(self) -> None:
        accounts = configuration.provider_accounts(
            self.secrets, self.url("card_provider"), self.url("payfip")
        )
        _write_secret(self.folder / "provider-accounts.json", accounts)
        logs = self.folder / "logs"
        self._add_simulators(logs)
        for service in SERVICES:
            self._add(service, ["-m", service, "run"], self._environment_of(service), logs)
        self._add(
            "figures", ["-m", "reconciliation.figures"], self._environment_of("figures"), logs
        )
        await asyncio.gather(*(process.start() for process in self.processes.values()))
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            await asyncio.gather(*(p.wait_ready(session) for p in self.processes.values()))

    def _add_simulators(self, logs: Path) -> None:
        sites = [
            argument
            for site, key in self.secrets.card_keys.items()
            for argument in ("--site", f"{site}:{key}")
        ]
        self._add(
            "card_provider",
            [
                "-m",
                "simulators",
                "card_provider",
                "--port",
                str(self.ports["card_provider"]),
                *sites,
            ],
            {},
            logs,
        )
        self._add(
            "mailbox",
            [
                "-m",
                "simulators",
                "mailbox",
                "--http-port",
                str(self.ports["mailbox"]),
                "--smtp-port",
                str(self.ports["smtp"]),
            ],
            {},
            logs,
        )
        client = ":".join([configuration.PAYFIP_CLIENT, *configuration.PAYFIP_LABELS])
        port = str(self.ports["payfip"])
        self._add(
            "payfip", ["-m", "simulators", "payfip", "--port", port, "--client", client], {}, logs
        )
        portal = self.url("portal")
        described = [
            configuration.FRANCE_CONNECT_CLIENT,
            self.secrets.france_connect_secret,
            f"{portal}/connexion/franceconnect/retour",
            f"{portal}/deconnexion/retour",
        ]
        port = str(self.ports["france_connect"])
        self._add(
            "france_connect",
            ["-m", "simulators", "france_connect", "--port", port, "--client", *described],
            {},
            logs,
        )
        push = ["-m", "simulators", "push", "--port", str(self.ports["push"])]
        self._add("push", push, {}, logs)

    def _add(
        self, name: str, arguments: list[str], environment: Mapping[str, str], logs: Path
    ) -> None:
        is_simulator = name in SIMULATORS
        port = self.ports["portal" if name == "gateway" else name]
        self.processes[name] = ManagedProcess(
            name,
            arguments,
            environment=environment,
            log=logs / f"{name}.log",
            ready_url=f"http://127.0.0.1:{port}/{'livez' if is_simulator else 'readyz'}",
        )

    async def _stop_processes(self) -> None:
        await asyncio.gather(*(process.stop() for process in self.processes.values()))

    async def _load_authorities(self) -> None:
        path = self.folder / "town.json"
        _write_secret(path, configuration.town(self.secrets))
        loader = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "gateway.load",
            str(path),
            env={**os.environ, **self._environment_of("gateway")},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await loader.communicate()
        if loader.returncode != 0:
            raise RuntimeError(output.decode())
        await asyncio.gather(
            self._until_known("ingestion", "SELECT count(*) FROM authority"),
            self._until_known("publication", "SELECT count(DISTINCT authority) FROM stamp_place"),
            self._until_known(
                "reconciliation", "SELECT count(DISTINCT authority) FROM reminder_policy"
            ),
        )

    async def _until_known(self, service: str, count: str) -> None:
        """Return once a service has heard of every authority: billers may come now."""
        expected = len(configuration.town(self.secrets)["authorities"])
        connection = await asyncpg.connect(self._databases[service])
        try:
            async with asyncio.timeout(KNOWN_SECONDS):
                # Another process writes the rows: there is nothing here to be woken by.
                while await connection.fetchval(count) < expected:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        finally:
            await connection.close()

    def endpoints(self) -> dict[str, Any]:
        """Return where everything is, as `.demo/endpoints.json` tells it."""
        return {
            "portal": self.url("portal"),
            "deposits": self.url("ingestion"),
            "collections": self.url("reconciliation"),
            "token": self.url("portal") + "/oauth/token",
            "biller": {
                "client_id": "facturation-saint-aubin",
                "client_secret": self.secrets.biller_secret,
                "authority": configuration.AUTHORITY,
                "regie": configuration.REGIE,
                "treasury_regie": configuration.TREASURY_REGIE,
            },
            "citizen": {
                "email": configuration.CITIZEN,
                "password": self.secrets.citizen_password,
            },
            "agent": {
                "login": configuration.AGENT,
                "password": self.secrets.agent_password,
                "totp_secret": self.secrets.agent_totp_secret,
            },
            "mailbox": self.url("mailbox"),
            "card_provider": self.url("card_provider"),
            "payfip": self.url("payfip"),
            "push": self.url("push"),
            "franceconnect": self.url("france_connect"),
            "kafka": self.kafka_servers,
            "database": self.database_url,
            "processes": {name: process.pid for name, process in self.processes.items()},
        }


def _write_secret(path: Path, content: object) -> None:
    path.touch(mode=0o600, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2), encoding="utf-8")
