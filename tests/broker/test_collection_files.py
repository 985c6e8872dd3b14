"""Closed days and their files on PostgreSQL, left on real SFTP and S3 servers."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias
from uuid import UUID, uuid4

import asyncpg
import msgspec
import obstore
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from cryptography.fernet import Fernet

import reconciliation
from demo import ports
from demo.postgres import EmbeddedPostgres
from reconciliation.adapters.drops import FileDrops
from reconciliation.adapters.sealing import FernetSealer
from reconciliation.api.files import FileDoors
from reconciliation.api.totals import TotalDoors
from reconciliation.domain.closing import EMPTY_DIGEST, Total
from reconciliation.domain.collection_file_ports import CollectionFile
from reconciliation.domain.collection_files import RETRY_DELAYS, FileState
from reconciliation.handlers.close_days import close_days
from reconciliation.handlers.order_collection_files import CollectionFileDesk
from reconciliation.handlers.write_collection_files import LEASE, FileWriter, csv_key
from reconciliation.ports import Collection, FeedItem
from reconciliation.store.books import PostgresBooks
from reconciliation.store.files import PostgresFiles
from shared import postgres
from shared.addresses import Rule
from shared.auth import InvalidTokenError, Principal
from shared.clock import FixedClock, paris_date
from shared.events import AuthorityConfigured
from shared.events.authority_configured import Regie
from shared.http import create_application
from shared.postgres import Database
from shared.storage import Storage, StorageUnavailableError
from tests.broker.observing import until
from tests.s3 import SeaweedS3
from tests.sftp import PASSWORD, USER, SftpServer

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="module")]

Client: TypeAlias = TestClient[web.Request, web.Application]
GRACE = timedelta(minutes=15)
NIGHT = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)
"""Half past midnight in Paris, on the 25th."""
DAY = date(2026, 11, 24)
NOON = datetime(2026, 11, 24, 11, tzinfo=UTC)


SECRETS = "SELECT secrets FROM collection_file_setting WHERE authority = $1"


class Away:
    """An object store that does not answer."""

    async def put(self, key: str, content: bytes) -> Any:
        raise StorageUnavailableError(key)

    async def get_checked(self, file: Any) -> bytes:
        raise StorageUnavailableError(file.key)


class Office:
    """One authority's days and files on a database, without a broker."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.authority = f"ville-{uuid4().hex[:12]}"
        self.database = database
        self.clock = FixedClock(NIGHT)
        self.storage = Storage(folder.as_uri())
        self.key = Fernet.generate_key().decode()
        self.sealer = FernetSealer(self.key)
        self.drops = FileDrops(Rule(allows_private=True))
        self.writer = self.writer_on(self.storage)
        self.desk = CollectionFileDesk(self.open, self.drops, self.sealer, self.clock)

    def writer_on(self, shelf: Any) -> FileWriter:
        return FileWriter(self.open, shelf, self.drops, self.sealer, self.clock)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[PostgresFiles]:
        async with self.database.transaction() as transaction:
            yield PostgresFiles(transaction.connection)

    async def configure(self, *regies: str) -> None:
        configured = AuthorityConfigured(
            authority=self.authority,
            name="Ville",
            regies=tuple(Regie(code=code, label=code, route="regie") for code in regies),
            revision=1,
            configured_at=NOON,
        )
        async with self.database.transaction() as transaction:
            await PostgresBooks(transaction.connection).keep_policies(configured)

    def movement(
        self,
        *,
        kind: str = "payment",
        regie: str = "CANTINE",
        cents: int = 4100,
        number: str = "F1",
    ) -> Collection:
        return Collection(
            fact=f"{kind}:{uuid4()}",
            kind=kind,
            payment_id=uuid4(),
            invoice_id=uuid4(),
            authority=self.authority,
            regie=regie,
            number=number,
            amount_cents=cents,
            means="card",
            provider="lyra",
            provider_reference="ref-1",
            occurred_at=NOON - timedelta(days=2),
        )

    async def record(self, *movements: Collection, at: datetime = NOON) -> None:
        async with self.database.transaction() as transaction:
            await PostgresBooks(transaction.connection).feed(movements, at)

    async def close(self) -> int:
        """Close this authority's days and return how many; the others' are no affair of ours."""
        before = await self.closings()
        await close_days(self.open, self.clock, GRACE)
        return len({total.day for total in await self.closings()} - {t.day for t in before})

    async def closings(self) -> list[Total]:
        async with self.open() as files:
            regies = [
                row["regie"] for row in await self.rows("SELECT DISTINCT regie FROM day_closing")
            ]
            return await files.closed(self.authority, regies, date.min, date.max)

    async def feed(self) -> list[FeedItem]:
        """Return the whole feed, as a biller reads it."""
        async with self.database.transaction() as transaction:
            books = PostgresBooks(transaction.connection)
            return await books.items(self.authority, ["CANTINE", "MUSIQUE"], 0, 10_000)

    async def work(self) -> list[CollectionFile]:
        """Make and leave what is due now, and return this authority's files."""
        while claimed := [
            file for file in await self.writer.claim(50) if file.authority == self.authority
        ]:
            await self.writer.perform(claimed)
        return await self.files()

    async def files(self) -> list[CollectionFile]:
        async with self.open() as files:
            return await files.files(self.authority, ["CANTINE", "MUSIQUE"], limit=100)

    async def rows(self, statement: str, *arguments: object) -> list[Any]:
        async with self.database.reading() as connection:
            return list(await connection.fetch(statement, *arguments))


class Tokens:
    """Knows one biller of the office, and one of another authority."""

    def __init__(self, authority: str) -> None:
        self._authority = authority

    async def authenticate(self, token: str) -> Principal:
        scopes = {"collections:read", "webhooks:write"}
        if token not in ("biller", "reader", "neighbour", "service"):
            raise InvalidTokenError
        return Principal(
            subject=token,
            authority={"neighbour": "ailleurs", "service": ""}.get(token, self._authority),
            regies=() if token == "service" else ("CANTINE",),
            scopes=frozenset(scopes if token != "reader" else {"collections:read"}),
        )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def database(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Database]:
    """Return a database of reconciliation's own, migrated as the service does it."""
    folder = tmp_path_factory.mktemp("reconciliation")
    async with EmbeddedPostgres(folder, port=ports.choose()["database"]) as server:
        url = await server.create_database("books", role="books", password="books")
        steps = postgres.all_migrations("reconciliation", Path(reconciliation.__file__).parent)
        await postgres.migrate(url, steps)
        opened = await Database.connect(url, size=24, service="reconciliation")
        yield opened
        await opened.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bucket() -> AsyncIterator[SeaweedS3]:
    """Return an S3 server that lives as long as the module."""
    async with SeaweedS3() as started:
        yield started


@pytest.fixture
def office(database: Database, tmp_path: Path) -> Office:
    """Return an authority that nobody has heard of."""
    return Office(database, tmp_path / "storage")


@pytest_asyncio.fixture(loop_scope="module")
async def sftp(tmp_path: Path) -> AsyncIterator[SftpServer]:
    """Return a server with an empty folder."""
    folder = tmp_path / "sftp"
    folder.mkdir()
    async with SftpServer(folder) as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def client(office: Office) -> AsyncIterator[Client]:
    """Return the doors of the office."""
    operations = [
        *TotalDoors(office.open, office.clock).operations(),
        *FileDoors(office.open, office.desk, office.writer.content).operations(),
    ]
    application = create_application(
        "reconciliation", operations, authenticator=Tokens(office.authority)
    )
    async with TestClient(TestServer(application)) as opened:
        yield opened


def as_(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {name}"}


def an_sftp(server: SftpServer, **changes: object) -> dict[str, object]:
    return {
        "kind": "sftp",
        "host": "127.0.0.1",
        "port": server.port,
        "user": USER,
        "password": PASSWORD,
        "host_key": server.public_host_key,
    } | changes


async def set_up(client: Client, body: dict[str, Any], regie: str = "CANTINE") -> dict[str, Any]:
    answer = await client.put(f"/v1/collection-files/{regie}", json=body, headers=as_("biller"))
    content: dict[str, Any] = await answer.json()
    assert answer.status == 200, content
    return content


async def get(client: Client, path: str, name: str = "biller") -> tuple[int, Any]:
    answer = await client.get(path, headers=as_(name))
    return answer.status, await answer.json()


def a_readers_digest(items: Sequence[FeedItem]) -> str:
    return hashlib.sha256("".join(f"{item.event_id}\n" for item in items).encode()).hexdigest()


async def test_a_night_closes_the_day_of_every_known_regie(office: Office) -> None:
    """Those without movement too: a zero says that nothing came in."""
    await office.configure("CANTINE", "MUSIQUE")
    await office.record(office.movement(), office.movement(kind="reversal", cents=1100))

    assert await office.close() == 1

    cantine, musique = await office.closings()
    items = await office.feed()
    assert cantine == Total(
        day=DAY,
        regie="CANTINE",
        payment_count=1,
        payment_cents=4100,
        reversal_count=1,
        reversal_cents=1100,
        net_cents=3000,
        first_position=1,
        last_position=2,
        occurred_from=date(2026, 11, 22),
        occurred_to=date(2026, 11, 22),
        digest=a_readers_digest(items),
        is_closed=True,
    )
    assert musique == Total(day=DAY, regie="MUSIQUE", digest=EMPTY_DIGEST, is_closed=True)


async def test_no_day_is_closed_before_it_is_over_for_a_while(office: Office) -> None:
    """At a quarter past midnight in Paris and not a minute before."""
    await office.record(office.movement())
    office.clock.instant = datetime(2026, 11, 24, 23, 14, tzinfo=UTC)

    assert await office.close() == 0
    office.clock.advance(timedelta(minutes=1))
    assert await office.close() == 1


async def test_missed_nights_are_caught_up_once(office: Office) -> None:
    """Three days after the last process: each day is closed, then nothing is left to do."""
    for days in range(3):
        await office.record(office.movement(cents=days + 1), at=NOON - timedelta(days=days))

    assert await office.close() == 3
    assert await office.close() == 0

    assert [(total.day, total.net_cents) for total in await office.closings()] == [
        (DAY - timedelta(days=2), 3),
        (DAY - timedelta(days=1), 2),
        (DAY, 1),
    ]


async def test_several_replicas_close_a_day_once(office: Office) -> None:
    """They wait for each other at the authority's counter, and find the day closed."""
    for days in range(10):
        await office.record(office.movement(), at=NOON - timedelta(days=days))

    counts = await asyncio.gather(*(close_days(office.open, office.clock, GRACE) for _ in range(4)))

    assert sum(counts) == 10
    assert [total.payment_count for total in await office.closings()] == [1] * 10


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE day_closing SET payment_cents = 0",
        "DELETE FROM day_closing",
        "TRUNCATE day_closing CASCADE",
    ],
)
async def test_a_closed_day_is_written_once(office: Office, statement: str) -> None:
    """As the ledger: the database refuses whoever would change it."""
    await office.record(office.movement())
    await office.close()
    before = await office.closings()

    with pytest.raises(asyncpg.RaiseError):
        await office.rows(statement)

    assert await office.closings() == before


async def test_what_comes_after_its_day_was_closed_is_of_the_first_open_day(
    office: Office,
) -> None:
    """A slow transaction or a slow clock: the closed day stays, and the fact is not lost."""
    await office.record(office.movement(cents=100))
    await office.close()
    before = await office.closings()

    await office.record(office.movement(cents=50), at=NOON)
    office.clock.advance(timedelta(days=1))
    await office.close()

    assert await office.closings() == [
        *before,
        msgspec.structs.replace(
            before[0],
            day=DAY + timedelta(days=1),
            payment_cents=50,
            net_cents=50,
            first_position=2,
            last_position=2,
            digest=a_readers_digest((await office.feed())[1:]),
        ),
    ]
    # The feed tells the same day, so that a biller that adds up by itself agrees.
    assert [paris_date(item.recorded_at).day for item in await office.feed()] == [24, 25]


async def test_a_closing_waits_for_what_is_being_recorded(office: Office) -> None:
    """A transaction that began before midnight and commits after it is of the day that it says."""
    await office.record(office.movement(cents=1))
    async with office.database.transaction() as transaction:
        await PostgresBooks(transaction.connection).feed([office.movement(cents=2)], NOON)
        closing = asyncio.create_task(close_days(office.open, office.clock, GRACE))

        async def waits() -> bool:
            [row] = await office.rows("SELECT count(*) FROM pg_locks WHERE NOT granted")
            return bool(row[0])

        await until(waits, "the closing to wait")
        assert await office.closings() == []
    await closing

    assert [total.payment_cents for total in await office.closings()] == [3]


async def test_totals_are_what_a_reader_of_the_feed_computes(
    office: Office, client: Client
) -> None:
    """Closed days, today, and days without movement; for the caller's régies alone."""
    chance = random.Random(20261124)
    await office.configure("CANTINE", "MUSIQUE")
    office.clock.instant = NIGHT - timedelta(days=6)
    for hour in range(6 * 24):
        if chance.random() < 0.5:
            kind = chance.choice(["payment", "payment", "reversal"])
            regie = chance.choice(["CANTINE", "MUSIQUE"])
            movement = office.movement(kind=kind, regie=regie, cents=chance.randrange(1, 9999))
            await office.record(movement, at=NIGHT - timedelta(hours=6 * 24 - hour))
    office.clock.instant = NIGHT - timedelta(days=1)
    await office.close()

    status, answer = await get(client, "/v1/collections/totals?from=2026-11-17&to=2026-11-30")

    items = [item for item in await office.feed() if item.regie == "CANTINE"]
    assert status == 200
    assert answer["closed_through"] == "2026-11-23"
    assert [total["day"] for total in answer["items"]] == [
        f"2026-11-{day}" for day in range(17, 25)
    ]
    for total in answer["items"]:
        own = [item for item in items if str(paris_date(item.recorded_at)) == total["day"]]
        paid = [item.amount_cents for item in own if item.kind == "payment"]
        returned = [item.amount_cents for item in own if item.kind == "reversal"]
        assert total["regie"] == "CANTINE"
        assert (total["payment_count"], total["payment_cents"]) == (len(paid), sum(paid))
        assert (total["reversal_count"], total["reversal_cents"]) == (len(returned), sum(returned))
        assert total["net_cents"] == sum(paid) - sum(returned)
        assert total["digest"] == a_readers_digest(own)
        assert total["first_position"] == (own[0].position if own else None)
        assert total["is_closed"] is (total["day"] <= "2026-11-23")
    assert sum(
        total["payment_count"] + total["reversal_count"] for total in answer["items"]
    ) == len(items)


async def test_nobody_reads_or_sets_what_is_anothers(office: Office, client: Client) -> None:
    """Another régie is as unknown as one that does not exist; a neighbour sees zeros."""
    await office.record(office.movement(), office.movement(regie="MUSIQUE"))
    await set_up(client, {})
    span = "from=2026-11-24&to=2026-11-24"

    for path in (
        f"/v1/collections/totals?{span}&regie=MUSIQUE",
        "/v1/collection-files/MUSIQUE",
        "/v1/collection-files/MUSIQUE/2026-11-24.csv",
        "/v1/collection-files/MUSIQUE/2026-11-24.json",
        "/v1/collection-files?regie=MUSIQUE",
    ):
        status, problem = await get(client, path)
        assert (status, problem["code"]) == (404, "unknown-regie")
    put = await client.put("/v1/collection-files/MUSIQUE", json={}, headers=as_("biller"))
    delete = await client.delete("/v1/collection-files/MUSIQUE", headers=as_("biller"))
    drop = await client.post("/v1/collection-files/MUSIQUE/2026-11-24/drop", headers=as_("biller"))
    assert (put.status, delete.status, drop.status) == (404, 404, 404)
    _, totals = await get(client, f"/v1/collections/totals?{span}", "neighbour")
    assert [total["net_cents"] for total in totals["items"]] == [0]
    assert (await get(client, "/v1/collection-files/CANTINE", "neighbour"))[0] == 404
    assert (await get(client, f"/v1/collections/totals?{span}", "service"))[0] == 403
    assert (await get(client, "/v1/collection-files/CANTINE", "reader"))[0] == 403


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1/collections/totals", "invalid-day"),
        ("/v1/collections/totals?from=2026-11-31&to=2026-12-01", "invalid-day"),
        ("/v1/collections/totals?from=2026-12-01&to=2026-11-01", "invalid-span"),
        ("/v1/collections/totals?from=2020-01-01&to=2026-11-01", "invalid-span"),
        ("/v1/collection-files?day=yesterday", "invalid-day"),
        ("/v1/collection-files/CANTINE/yesterday.csv", "invalid-day"),
    ],
)
async def test_a_day_that_is_none_is_refused(client: Client, path: str, code: str) -> None:
    """With the sentence that a biller's developer needs."""
    status, problem = await get(client, path)

    assert (status, problem["code"]) == (400, code)


async def test_a_file_of_each_closed_day_is_there_to_be_fetched(
    office: Office, client: Client
) -> None:
    """From the first night on, in the layout that is set, with what a reader compares beside it."""
    await set_up(
        client,
        {
            "columns": [
                {"heading": "N° facture", "field": "number"},
                {"heading": "Montant", "field": "amount"},
            ],
            "encoding": "cp1252",
            "file_name": "ENC_{regie}_{day}_{sequence}.csv",
        },
    )
    await office.record(office.movement(number="É-1"), office.movement(kind="reversal", cents=7))
    await office.close()
    early = await client.get("/v1/collection-files/CANTINE/2026-11-24.csv", headers=as_("biller"))

    [file] = await office.work()

    csv = await client.get("/v1/collection-files/CANTINE/2026-11-24.csv", headers=as_("biller"))
    content = await csv.read()
    assert (early.status, (await early.json())["code"]) == (409, "not-ready")
    assert content == "N° facture;Montant\r\nÉ-1;41,00\r\nF1;-0,07\r\n".encode("cp1252")
    assert csv.headers["Content-Type"] == "text/csv; charset=windows-1252"
    assert csv.headers["Content-Disposition"] == (
        'attachment; filename="ENC_CANTINE_2026-11-24_1.csv"'
    )
    _, control = await get(client, "/v1/collection-files/CANTINE/2026-11-24.json")
    [total] = await office.closings()
    assert control["sha256"] == hashlib.sha256(content).hexdigest() == file.sha256
    assert (control["rows"], control["net_cents"], control["digest"]) == (2, 4093, total.digest)
    _, listed = await get(client, "/v1/collection-files?regie=CANTINE&day=2026-11-24")
    assert listed["next"] is None
    [entry] = listed["files"]
    assert (entry["state"], entry["name"], entry["problem"]) == (
        "kept",
        "ENC_CANTINE_2026-11-24_1.csv",
        None,
    )
    assert (await get(client, "/v1/collection-files?before=2026-11-24"))[1]["files"] == []
    assert (await get(client, "/v1/collection-files/CANTINE/2026-11-23.csv"))[0] == 404


async def test_a_file_that_the_store_lost_is_made_again_with_the_same_bytes(
    office: Office, client: Client
) -> None:
    """It keeps the layout it was planned with, whatever is set since."""
    await set_up(client, {"delimiter": "|"})
    await office.record(office.movement())
    await office.close()
    [file] = await office.work()
    before = await office.writer.content(file)
    await set_up(client, {"delimiter": ","})

    await office.storage.delete(csv_key(file))
    missing = await office.writer.content(file)
    await office.storage.put(csv_key(file), b"something else")
    corrupt = await office.writer.content(file)

    assert before == missing == corrupt
    assert hashlib.sha256(before[0]).hexdigest() == file.sha256
    assert await office.storage.get(csv_key(file)) == before[0]


async def test_a_store_that_is_away_puts_a_file_off(office: Office, client: Client) -> None:
    """A minute later it is made, and none of the biller's tries is used up."""
    await set_up(client, {})
    await office.record(office.movement())
    await office.close()

    claimed = [f for f in await office.writer.claim(50) if f.authority == office.authority]
    await office.writer_on(Away()).perform(claimed)

    [file] = await office.files()
    assert (file.state, file.attempts, file.problem_code) == (
        FileState.PLANNED,
        0,
        "storage-unavailable",
    )
    office.clock.advance(timedelta(minutes=1))
    [made] = await office.work()
    assert (made.state, made.problem_code) == (FileState.KEPT, "")


async def test_our_own_store_costs_a_biller_no_try(
    office: Office, client: Client, sftp: SftpServer
) -> None:
    """A file that cannot be read now is left later, as if nothing had been."""
    await set_up(client, {"destination": an_sftp(sftp)})
    await office.record(office.movement())
    await office.close()
    for writer in (office.writer, office.writer_on(Away())):
        claimed = [f for f in await writer.claim(50) if f.authority == office.authority]
        await writer.perform(claimed)

    [file] = await office.files()
    office.clock.advance(timedelta(minutes=1))
    [dropped] = await office.work()

    assert (file.state, file.attempts, file.problem_code, file.next_at) == (
        FileState.WAITING,
        0,
        "storage-unavailable",
        NIGHT + timedelta(minutes=1),
    )
    assert (dropped.state, dropped.attempts) == (FileState.DROPPED, 1)


async def test_each_night_leaves_a_file_on_an_sftp_server(
    office: Office, client: Client, sftp: SftpServer
) -> None:
    """The file, then what describes it; the next day under the next number."""
    await set_up(
        client, {"destination": an_sftp(sftp), "file_name": "{regie}-{sequence}-{day}.csv"}
    )
    await office.record(office.movement())
    await office.close()
    await office.work()
    office.clock.advance(timedelta(days=1))
    await office.close()

    second, first = await office.work()

    assert (first.state, first.attempts, first.dropped_at) == (FileState.DROPPED, 1, NIGHT)
    assert second.state is FileState.DROPPED
    assert sftp.names() == [
        "CANTINE-1-2026-11-24.csv",
        "CANTINE-1-2026-11-24.csv.json",
        "CANTINE-2-2026-11-25.csv",
        "CANTINE-2-2026-11-25.csv.json",
    ]
    content = (sftp.folder / "CANTINE-1-2026-11-24.csv").read_bytes()
    assert hashlib.sha256(content).hexdigest() == first.sha256


async def test_a_file_is_left_in_a_bucket(
    office: Office, client: Client, bucket: SeaweedS3
) -> None:
    """Of any store that speaks S3, in the folder that was named; one file only if one is wanted."""
    destination = {
        "kind": "s3",
        "bucket_url": f"s3://{bucket.bucket}/depot",
        "endpoint": bucket.endpoint,
        "access_key_id": bucket.access_key_id,
        "secret_access_key": bucket.secret_access_key,
    }
    await set_up(client, {"destination": destination, "control": "line", "file_name": "{day}.csv"})
    await office.record(office.movement())
    await office.close()

    [file] = await office.work()

    listed = [entry["path"] for entry in await obstore.list(bucket.store()).collect_async()]
    answer = await obstore.get_async(bucket.store(), "depot/2026-11-24.csv")
    content = bytes(await answer.bytes_async())
    assert file.state is FileState.DROPPED
    assert listed == ["depot/2026-11-24.csv"]
    assert hashlib.sha256(content).hexdigest() == file.sha256
    assert content.splitlines()[-1].startswith(b"TOTAL;1;41,00;")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"secret_access_key": "another"}, "authentication"),
        (
            {"access_key_id": "reader", "secret_access_key": "secret-of-the-reader"},
            "authentication",
        ),
    ],
)
async def test_a_bucket_that_refuses_is_told(
    office: Office,
    client: Client,
    bucket: SeaweedS3,
    changes: dict[str, str],
    code: str,
) -> None:
    """With a code that says whose mistake it is."""
    destination = {
        "kind": "s3",
        "bucket_url": f"s3://{bucket.bucket}/{office.authority}",
        "endpoint": bucket.endpoint,
        "access_key_id": bucket.access_key_id,
        "secret_access_key": bucket.secret_access_key,
    }
    await set_up(client, {"destination": destination | changes})
    await office.record(office.movement())
    await office.close()

    [file] = await office.work()

    assert (file.state, file.attempts, file.problem_code) == (FileState.WAITING, 1, code)


async def test_a_drop_that_fails_for_three_days_is_parked_until_somebody_asks(
    office: Office, client: Client, sftp: SftpServer
) -> None:
    """Each failure is told with its reason; a drop on demand starts from the beginning."""
    await set_up(client, {"destination": an_sftp(sftp, folder="plus-tard")})
    await office.record(office.movement())
    await office.close()
    [first] = await office.work()
    for delay in RETRY_DELAYS:
        office.clock.advance(delay)
        await office.work()

    [parked] = [file for file in await office.files() if file.day == DAY]

    assert (first.state, first.attempts, first.next_at) == (
        FileState.WAITING,
        1,
        NIGHT + timedelta(minutes=1),
    )
    assert (parked.state, parked.attempts, parked.problem_code) == (
        FileState.PARKED,
        len(RETRY_DELAYS) + 1,
        "folder",
    )
    _, listed = await get(client, "/v1/collection-files?day=2026-11-24")
    assert listed["files"][0]["problem"] == {
        "code": "folder",
        "detail": "Ce dossier n’existe pas sur le serveur.",
    }
    assert listed["files"][0]["next_attempt_at"] is None

    (sftp.folder / "plus-tard").mkdir()
    answer = await client.post(
        "/v1/collection-files/CANTINE/2026-11-24/drop", headers=as_("biller")
    )
    entry = await answer.json()
    [dropped] = [file for file in await office.work() if file.day == DAY]

    assert (answer.status, entry["state"], entry["attempts"]) == (202, "waiting", 0)
    assert (dropped.state, dropped.attempts, dropped.problem_code) == (FileState.DROPPED, 1, "")
    assert sftp.names()[0].startswith("plus-tard/")


async def test_a_destination_that_is_mended_is_tried_at_once(
    office: Office, client: Client, sftp: SftpServer
) -> None:
    """Nobody waits for the ladder of a mistake that was put right."""
    await set_up(client, {"destination": an_sftp(sftp, password="typo")})
    await office.record(office.movement())
    await office.close()
    [failed] = await office.work()

    await set_up(client, {"destination": an_sftp(sftp)})

    [dropped] = await office.work()
    assert (failed.problem_code, dropped.state) == ("authentication", FileState.DROPPED)


async def test_a_day_closed_before_a_file_was_wanted_is_made_on_demand(
    office: Office, client: Client, sftp: SftpServer
) -> None:
    """A biller that joins late has its past days too; a day that is not over has no file."""
    await office.record(office.movement())
    await office.close()
    await set_up(client, {"destination": an_sftp(sftp)})
    path = "/v1/collection-files/CANTINE/{}/drop"

    asked = await client.post(path.format("2026-11-24"), headers=as_("biller"))
    again = await client.post(path.format("2026-11-24"), headers=as_("biller"))
    early = await client.post(path.format("2026-11-25"), headers=as_("biller"))
    [file] = await office.work()

    assert (asked.status, again.status) == (202, 202)
    assert (early.status, (await early.json())["code"]) == (409, "day-not-closed")
    assert (file.day, file.state) == (DAY, FileState.DROPPED)


async def test_what_is_fetched_is_left_nowhere(office: Office, client: Client) -> None:
    """There is nothing to do again."""
    await set_up(client, {})
    await office.record(office.movement())
    await office.close()
    await office.work()

    answer = await client.post(
        "/v1/collection-files/CANTINE/2026-11-24/drop", headers=as_("biller")
    )

    assert (answer.status, (await answer.json())["code"]) == (409, "no-destination")


async def test_secrets_are_sealed_and_never_shown_again(
    office: Office, client: Client, sftp: SftpServer
) -> None:
    """Neither a reader of the settings nor one of the database learns them; they are kept on."""
    shown = await set_up(client, {"destination": an_sftp(sftp)})

    _, read = await get(client, "/v1/collection-files/CANTINE")
    settings = {name: value for name, value in read.items() if name not in ("regie", "set_at")}
    kept = await set_up(client, settings | {"delimiter": ","})

    [row] = await office.rows(
        "SELECT * FROM collection_file_setting WHERE authority = $1", office.authority
    )
    assert shown == read
    assert kept == read | {"delimiter": ","}
    assert "password" not in read["destination"]
    assert PASSWORD not in str(dict(row))
    assert msgspec.json.decode(office.sealer.open(row["secrets"])) == {"password": PASSWORD}


async def test_secrets_are_sealed_again_when_a_new_key_comes(
    office: Office, client: Client, sftp: SftpServer
) -> None:
    """The old key may go once every replica has the new one."""
    await set_up(client, {"destination": an_sftp(sftp)})
    newer = Fernet.generate_key().decode()
    both = FernetSealer(f"{newer},{office.key}")
    [before] = await office.rows(SECRETS, office.authority)

    async with office.open() as files:
        await files.seal_again(
            lambda sealed: both.seal_again(sealed) if sealed == before["secrets"] else sealed
        )

    [after] = await office.rows(SECRETS, office.authority)
    opened = FernetSealer(newer).open(after["secrets"])
    assert msgspec.json.decode(opened) == {"password": PASSWORD}


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({"file_name": "fixe.csv"}, "invalid-layout", "/file_name"),
        (
            {"destination": {"kind": "sftp", "host": "a.fr", "user": "u", "host_key": "x"}},
            "invalid-destination",
            "/destination/host_key",
        ),
        ({"destination": {"kind": "ftp", "host": "a.fr"}}, "invalid-body", None),
        ({"destination": {"kind": "sftp", "host": "a.fr", "user": "u"}}, "invalid-body", None),
        ({"colums": []}, "invalid-body", None),
    ],
)
async def test_a_setting_that_cannot_be_followed_changes_nothing(
    client: Client, body: dict[str, Any], code: str, pointer: str | None
) -> None:
    """It is refused when it is set, not in the night."""
    answer = await client.put("/v1/collection-files/CANTINE", json=body, headers=as_("biller"))

    problem = await answer.json()
    assert (answer.status, problem["code"], problem.get("pointer")) == (422, code, pointer)
    assert (await get(client, "/v1/collection-files/CANTINE"))[0] == 404


async def test_a_regie_may_have_no_files_any_more(
    office: Office, client: Client, sftp: SftpServer
) -> None:
    """No further one is made; one that waited to be left is kept instead, and can be fetched."""
    await set_up(client, {"destination": an_sftp(sftp, folder="missing")})
    await office.record(office.movement())
    await office.close()
    await office.work()

    gone = await client.delete("/v1/collection-files/CANTINE", headers=as_("biller"))
    again = await client.delete("/v1/collection-files/CANTINE", headers=as_("biller"))
    office.clock.advance(timedelta(days=1))
    await office.close()
    [file] = await office.work()

    assert (gone.status, again.status) == (204, 404)
    assert (file.day, file.state) == (DAY, FileState.KEPT)
    csv = await client.get("/v1/collection-files/CANTINE/2026-11-24.csv", headers=as_("biller"))
    assert csv.status == 200


async def test_no_two_replicas_hold_the_same_file(office: Office, client: Client) -> None:
    """What one has claimed is left out by the others until its lease ends."""
    await set_up(client, {})
    for days in range(8):
        await office.record(office.movement(), at=NOON - timedelta(days=days))
    await office.close()

    batches = await asyncio.gather(*(office.writer.claim(3) for _ in range(8)))
    later = await office.writer.claim(50)
    office.clock.advance(LEASE)
    freed = await office.writer.claim(50)

    claimed = [f.day for batch in batches for f in batch if f.authority == office.authority]
    assert sorted(claimed) == [DAY - timedelta(days=days) for days in range(7, -1, -1)]
    assert [file for file in later if file.authority == office.authority] == []
    assert len([file for file in freed if file.authority == office.authority]) == 8


async def test_a_replica_that_dies_after_a_drop_leaves_it_once_more(
    office: Office, client: Client, sftp: SftpServer
) -> None:
    """Another takes over when the lease ends: the same file under the same name."""
    await set_up(client, {"destination": an_sftp(sftp)})
    await office.record(office.movement())
    await office.close()
    [planned] = [f for f in await office.writer.claim(50) if f.authority == office.authority]
    await office.writer.perform([planned])
    [waiting] = [f for f in await office.writer.claim(50) if f.authority == office.authority]
    # It is left, and what came of it is never recorded.
    csv, control = await office.writer.content(waiting)
    async with office.open() as files:
        [setting] = await files.settings(office.authority, ["CANTINE"])
    destination = msgspec.structs.replace(setting.destination, password=PASSWORD)
    await office.drops.leave(destination, [(waiting.name, csv), (waiting.name + ".json", control)])
    before = {name: (sftp.folder / name).read_bytes() for name in sftp.names()}

    assert [file.state for file in await office.work()] == [FileState.WAITING]
    office.clock.advance(LEASE)
    [file] = await office.work()

    assert file.state is FileState.DROPPED
    assert {name: (sftp.folder / name).read_bytes() for name in sftp.names()} == before
    assert UUID(Path(waiting.storage_key).name).version == 5
