"""Reconciliation on a real database, and billers' servers on this machine."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import msgspec
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from cryptography.fernet import Fernet

from reconciliation.adapters.sealing import FernetSealer
from reconciliation.adapters.webhook_sender import WebhookSender
from reconciliation.api.books import Doors
from reconciliation.api.deliveries import DeliveryDoors
from reconciliation.api.webhooks import WebhookDoors
from reconciliation.handlers.on_payment_captured import on_payment_captured
from reconciliation.handlers.on_payment_reversed import on_payment_reversed
from reconciliation.ports import Deliveries
from reconciliation.store.books import PostgresBooks
from reconciliation.store.deliveries import PostgresDeliveries, PostgresUpkeep
from reconciliation.store.receipts import PostgresReceipts
from reconciliation.store.webhooks import PostgresWebhooks
from reconciliation.worker import LEASE, Courier
from shared.addresses import Rule
from shared.auth import Principal
from shared.clock import FixedClock
from shared.envelope import Message
from shared.events import Event, PaymentCaptured, PaymentReversed
from shared.events.payment_captured import Allocation
from shared.http import create_application
from shared.postgres import Database, Transaction

NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)
AUTHORITY = "saint-aubin"
SCOPES = frozenset({"collections:read", "webhooks:write"})
EMPTY = """
TRUNCATE account, feed_counter, feed_cursor, collection, webhook_endpoint,
         webhook_secret, webhook_delivery, webhook_attempt
"""


class Received(msgspec.Struct, frozen=True):
    """A request as a biller got it."""

    headers: dict[str, str]
    body: bytes

    @property
    def event_id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def content(self) -> dict[str, Any]:
        content: dict[str, Any] = msgspec.json.decode(self.body)
        return content


class Biller:
    """A biller's server: answers as told, and remembers what it took and what it was asked."""

    def __init__(self) -> None:
        self.status: Callable[[Received], int] = lambda _request: 204
        self.asked: list[Received] = []
        self.took: list[Received] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.pause_seconds = 0.0
        self.under_way: Counter[str] = Counter()
        self.most_at_once = 0
        self.met_twice_at_once = False
        application = web.Application()
        application.router.add_post("/hook", self._take)
        self.server = TestServer(application)

    async def _take(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        received = Received(headers, await request.read())
        self.asked.append(received)
        self.under_way[received.event_id] += 1
        self.most_at_once = max(self.most_at_once, self.under_way.total())
        self.met_twice_at_once |= self.under_way[received.event_id] > 1
        try:
            await self.gate.wait()
            await asyncio.sleep(self.pause_seconds)
        finally:
            self.under_way[received.event_id] -= 1
        status = self.status(received)
        if 200 <= status < 300:
            self.took.append(received)
        return web.Response(status=status, text=f"answer {status}")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}/hook"

    def events(self) -> list[str]:
        """Return the ids it took, in order, each time it took them."""
        return [received.event_id for received in self.took]

    def by_invoice(self) -> dict[str, list[int]]:
        """Return the positions it took first, in order, by invoice."""
        found: dict[str, list[int]] = {}
        seen: set[str] = set()
        for received in self.took:
            if received.event_id not in seen:
                seen.add(received.event_id)
                data = received.content["data"]
                found.setdefault(data["number"], []).append(data["position"])
        return found


class Tokens:
    """Tokens that say who they are: `client[@authority] REGIE+REGIE [scope]`."""

    async def authenticate(self, token: str) -> Principal:
        client, regies, *scopes = token.split(" ")
        authority = client.partition("@")[2] or AUTHORITY
        return Principal(
            subject=client,
            authority=authority,
            regies=tuple(regies.split("+")),
            scopes=frozenset(scopes) if scopes else SCOPES,
        )


class Unit:
    """One transaction, as the service's own wiring makes it."""

    def __init__(self, transaction: Transaction) -> None:
        self.books = PostgresBooks(transaction.connection)
        self.webhooks = PostgresWebhooks(transaction.connection)
        self.receipts = PostgresReceipts(transaction.connection)

    async def publish(
        self, events: Sequence[Event], caused_by: Message[Event] | None = None
    ) -> None:
        raise AssertionError(events)


class Office:
    """Reconciliation without its consumer: books, doors and couriers over one database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = FixedClock(NOW)
        database.clock = self.clock
        self.sealer = FernetSealer(Fernet.generate_key().decode())
        self.sender = WebhookSender(Rule(allows_private=True), calls=8)
        self.client: TestClient[web.Request, web.Application]

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Office"]:
        doors = [
            *Doors(self.unit, self.clock).operations(),
            *WebhookDoors(self.unit, self.sender, self.sealer, self.clock).operations(),
            *DeliveryDoors(self.unit, self.clock).operations(),
        ]
        application = create_application("reconciliation", doors, authenticator=Tokens())
        async with TestClient(TestServer(application)) as self.client:
            yield self
        await self.sender.close()

    async def empty(self) -> None:
        async with self.database.reading() as connection:
            # The books' own entries stay: they cannot be removed, and no fact comes twice.
            await connection.execute(EMPTY)

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[Unit]:
        async with self.database.transaction() as transaction:
            yield Unit(transaction)

    async def ask(
        self, method: str, path: str, body: object = None, *, token: str = "biller CANTINE"
    ) -> tuple[int, Any]:
        """Knock at a door; return the status and what is answered."""
        headers = {"Authorization": f"Bearer {token}"}
        async with self.client.request(method, path, json=body, headers=headers) as answer:
            return answer.status, await answer.json() if answer.status != 204 else None

    async def register(self, biller: Biller, token: str = "biller CANTINE", **more: object) -> str:
        """Set a biller's address and return its secret."""
        status, answer = await self.ask(
            "PUT", "/v1/webhooks", {"url": biller.url, **more}, token=token
        )
        assert status == 201, answer
        return str(answer["secret"])

    async def pay(self, *numbers: str, regie: str = "CANTINE", authority: str = AUTHORITY) -> None:
        """Book one payment for each invoice named."""
        await self.book(
            [a_capture(number, regie, authority, self.clock.now()) for number in numbers]
        )

    async def pay_back(self, number: str) -> None:
        """Book that money of an invoice went back."""
        await self.book([a_reversal(number, self.clock.now())])

    async def book(self, events: Sequence[Event]) -> None:
        async with self.unit() as unit:
            await book(unit, events, self.clock.now())

    def courier(self, *, is_struggling: bool = False, wrap: Any = None) -> Courier:
        deliveries: Deliveries = PostgresDeliveries(
            self.database,
            is_struggling=is_struggling,
            calls=1 if is_struggling else 4,
            lease=LEASE,
        )
        return Courier(
            wrap(deliveries) if wrap else deliveries,
            self.sender,
            self.sealer,
            self.clock,
            chance=lambda: 0.5,
            wakes=[asyncio.Event()],
        )

    async def work(self, *, side_by_side: int = 1) -> int:
        """Make every delivery that may be made now; return how many calls that took."""
        couriers = [self.courier(is_struggling=lane) for lane in (False, True)]

        async def drain() -> int:
            count = 0
            while any([await perform_one(courier) for courier in couriers]):
                count += 1
            return count

        return sum(await asyncio.gather(*(drain() for _ in range(side_by_side))))

    async def until(self, end: datetime, *, side_by_side: int = 1) -> None:
        """Let time pass, from one try to the next."""
        while True:
            await self.work(side_by_side=side_by_side)
            [row] = await self.rows(
                "SELECT min(due_at) FROM webhook_delivery WHERE state = 'waiting' AND due_at > $1",
                self.clock.now(),
            )
            if row[0] is None or row[0] > end:
                self.clock.instant = max(end, self.clock.now())
                await self.work(side_by_side=side_by_side)
                return
            self.clock.instant = row[0]

    async def rows(self, statement: str, *arguments: object) -> list[Any]:
        async with self.database.reading() as connection:
            return list(await connection.fetch(statement, *arguments))

    async def states(self) -> dict[str, int]:
        rows = await self.rows("SELECT state, count(*) FROM webhook_delivery GROUP BY state")
        return {row["state"]: row["count"] for row in rows}

    async def feed(self, token: str = "biller CANTINE") -> list[dict[str, Any]]:
        """Return the whole feed, page by page."""
        items: list[dict[str, Any]] = []
        after = "0"
        while True:
            _, page = await self.ask("GET", f"/v1/collections?after={after}", token=token)
            items += page["items"]
            after = page["next"]
            if not page["has_more"]:
                return items

    @property
    def upkeep(self) -> PostgresUpkeep:
        return PostgresUpkeep(self.database)


async def perform_one(courier: Courier) -> bool:
    """Make one delivery; False if none may be made."""
    claims = await courier.claim(1)
    await courier.perform(claims)
    return bool(claims)


async def book(unit: Unit, events: Sequence[Event], at: datetime) -> None:
    """Book captures and reversals as the consumer does, in the order given within each kind."""
    captures = [event for event in events if isinstance(event, PaymentCaptured)]
    reversals = [event for event in events if isinstance(event, PaymentReversed)]
    books, webhooks = unit.books, unit.webhooks
    if captures:
        messages = [a_message(e, at) for e in captures]
        await on_payment_captured(messages, books, webhooks, unit.receipts, at)
    if reversals:
        await on_payment_reversed([a_message(e, at) for e in reversals], books, webhooks, at)


def a_message(event: Any, at: datetime) -> Message[Any]:
    return Message(
        id=str(uuid4()),
        source="/quittance/payment",
        type=event.TYPE,
        subject=event.key,
        time=at,
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        causation_id=None,
        data=event,
    )


def invoice_id(number: str) -> UUID:
    return UUID(int=sum(ord(letter) << 8 * place for place, letter in enumerate(number)))


def an_allocation(number: str, regie: str, authority: str) -> Allocation:
    return Allocation(
        invoice_id=invoice_id(number),
        authority=authority,
        regie=regie,
        number=number,
        amount_cents=100,
    )


def a_capture(number: str, regie: str, authority: str, at: datetime) -> PaymentCaptured:
    return PaymentCaptured(
        payment_id=uuid4(),
        authority=authority,
        means="card",
        provider="lyra",
        provider_reference="r",
        amount_cents=100,
        currency="EUR",
        allocations=(an_allocation(number, regie, authority),),
        captured_at=at,
    )


def a_reversal(number: str, at: datetime) -> PaymentReversed:
    return PaymentReversed(
        reversal_id=uuid4(),
        payment_id=uuid4(),
        authority=AUTHORITY,
        means="card",
        provider="lyra",
        provider_reference="r",
        cause="refund",
        amount_cents=100,
        currency="EUR",
        allocations=(an_allocation(number, "CANTINE", AUTHORITY),),
        reversed_at=at,
    )
