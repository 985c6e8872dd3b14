"""Publication's store on PostgreSQL: which letters a deposit has, and what is let go of when."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

import publication
from demo import ports
from demo.postgres import EmbeddedPostgres
from publication.adapters.print_run import ProcessBinder
from publication.domain import PrintRun, published_event
from publication.handlers.bind_print_run import PrintRunBinder
from publication.handlers.find_print_run import find_merged_file, find_print_run
from publication.handlers.on_invoice_generated import on_invoice_generated
from publication.ports import (
    Demand,
    NotReadyError,
    PrintRunState,
    Progress,
    PublishedPaper,
    UnknownDepositError,
)
from publication.store import PostgresFolders, PostgresPrintRuns
from shared import postgres
from shared.clock import FixedClock
from shared.events import InvoiceGenerated
from shared.events.invoice_generated import Payer, StoredFile
from shared.postgres import Database
from shared.storage import Storage
from tests.unit.publication.publication_builders import (
    DEPOSIT_ID,
    FAMILY,
    NOW,
    TOWN,
    a_message,
    a_pdf,
    an_invoice,
    texts_of,
)

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="module")]

EMPTY = "TRUNCATE folder, deposit_part, print_run, discarded_object"
LATER_DEPOSIT_ID = UUID(int=501)
ONLINE = Payer(reference="FAM-9", name="Dominique", email="d@example.org", address=("x",))
LEASE = timedelta(seconds=60)


class Office:
    """Publication on a database and a store, without its press."""

    def __init__(self, database: Database, storage: Storage) -> None:
        self.database = database
        self.storage = storage
        self.clock = FixedClock(NOW)
        self.binder = PrintRunBinder(
            instance="a",
            open_runs=self.runs,
            archive=storage,
            binder=ProcessBinder(memory_bytes=1 << 30, seconds=20),
            clock=self.clock,
        )

    @asynccontextmanager
    async def folders(self) -> AsyncIterator[PostgresFolders]:
        async with self.database.transaction() as transaction:
            yield PostgresFolders(transaction.connection)

    @asynccontextmanager
    async def runs(self) -> AsyncIterator[PostgresPrintRuns]:
        async with self.database.transaction() as transaction:
            yield PostgresPrintRuns(transaction.connection)

    async def hear(self, *invoices: InvoiceGenerated) -> None:
        async with self.folders() as folders:
            await on_invoice_generated([a_message(invoice) for invoice in invoices], folders)

    async def publish(self, *invoices: InvoiceGenerated) -> None:
        """Do as the press does: each invoice gets a page that names it."""
        papers = []
        for invoice in invoices:
            key = f"published/{invoice.invoice_id}/v{invoice.version}.pdf"
            file = await self.storage.put(key, a_pdf(f"{invoice.number} v{invoice.version}"))
            event = published_event(
                invoice, token=str(invoice.invoice_id), document=file, at=NOW, readable_days=90
            )
            papers.append(
                PublishedPaper(event=event, deposit_id=invoice.deposit_id, printed=file, pages=1)
            )
        async with self.folders() as folders:
            await folders.publish(papers)

    async def find(self, deposit_id: UUID = DEPOSIT_ID, expected: int = 0) -> PrintRun:
        return await find_print_run(
            Demand(deposit_id=deposit_id, expected=expected),
            may_act_for=lambda authority, _regie: authority == TOWN,
            open_runs=self.runs,
        )

    async def ask(self, run: PrintRun) -> bool:
        """Ask for the merged file and tell whether it is there."""
        standing = await find_merged_file(
            run, patience_seconds=0, open_runs=self.runs, wake=lambda: None
        )
        return standing is not None

    async def merged(self, run: PrintRun) -> bytes:
        """Return the merged file, made by the worker."""
        assert not await self.ask(run)
        await self.binder.perform(await self.binder.claim(1))
        assert await self.ask(run)
        return await self.storage.get(run.key)

    async def rows(self, statement: str) -> list[Any]:
        async with self.database.reading() as connection:
            return list(await connection.fetch(statement))

    async def discarded(self) -> set[str]:
        return {row["key"] for row in await self.rows("SELECT key FROM discarded_object")}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def database(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Database]:
    """Return a database of publication's own, migrated as the service does it."""
    folder = tmp_path_factory.mktemp("publication")
    async with EmbeddedPostgres(folder, port=ports.choose()["database"]) as server:
        url = await server.create_database("publication", role="publication", password="p")
        steps = postgres.all_migrations("publication", Path(publication.__file__).parent)
        await postgres.migrate(url, steps)
        opened = await Database.connect(url, size=8, service="publication")
        yield opened
        await opened.close()


@pytest_asyncio.fixture(loop_scope="module")
async def office(database: Database, tmp_path: Path) -> Office:
    """Return an office whose folders and store are empty."""
    async with database.reading() as connection:
        await connection.execute(EMPTY)
    return Office(database, Storage(f"file://{tmp_path}/store"))


async def test_a_run_holds_the_letters_of_payers_without_an_address_online(office: Office) -> None:
    """In postal order, each page the letter's own."""
    near = an_invoice(1)
    far = an_invoice(2, payer=Payer(reference="F", name="A", address=("1 r X", "06000 NICE")))
    online = an_invoice(3, payer=ONLINE)
    await office.hear(near, far, online)
    await office.publish(near, far, online)

    run = await office.find()

    assert [letter.number for letter in run.index] == ["2026-2", "2026-1"]
    assert run.index[1].address == FAMILY.address
    assert texts_of(await office.merged(run)) == ["2026-2 v1", "2026-1 v1"]


async def test_nothing_is_kept_of_a_payer_who_is_not_written_to(office: Office) -> None:
    """Neither name nor address stands beside the folder of who has an e-mail address."""
    online = an_invoice(3, payer=ONLINE)
    await office.hear(online)
    await office.publish(online)

    [row] = await office.rows(
        "SELECT needs_paper, payer_name, payer_address, payer_reference FROM folder"
    )

    assert tuple(row) == (False, None, None, None)


async def test_is_not_ready_while_invoices_wait_or_are_to_come(office: Office) -> None:
    """And says how far it is; a refused one is waited for no more."""
    first, second, third = an_invoice(1), an_invoice(2), an_invoice(3)
    await office.hear(first, second)
    await office.hear(third)
    await office.publish(first)
    async with office.folders() as folders:
        assert await folders.refuse(second.invoice_id, 1, "damaged", "…")

    with pytest.raises(NotReadyError) as waiting:
        await office.find()
    await office.publish(third)
    with pytest.raises(NotReadyError) as coming:
        await office.find(expected=4)
    run = await office.find(expected=3)

    assert waiting.value.progress == Progress(waiting=1, published=1, refused=1)
    assert coming.value.progress == Progress(waiting=1, published=2, refused=1)
    assert len(run.letters) == 2


async def test_another_towns_deposit_is_unknown(office: Office) -> None:
    """So is one of which nothing came."""
    await office.hear(an_invoice(1, authority="otherville"))

    for deposit_id in (DEPOSIT_ID, UUID(int=77)):
        with pytest.raises(UnknownDepositError):
            await office.find(deposit_id)


async def test_a_correction_moves_the_letter_to_its_own_deposit(office: Office) -> None:
    """What is about to be replaced is not printed; a refused correction leaves the first."""
    first = an_invoice(1)
    await office.hear(first)
    await office.publish(first)
    old = await office.find()
    await office.merged(old)
    second = an_invoice(1, version=2, deposit_id=LATER_DEPOSIT_ID)

    await office.hear(second)
    waiting = await office.find()
    async with office.folders() as folders:
        await folders.refuse(second.invoice_id, 2, "damaged", "…")
    refused = await office.find()
    await office.hear(an_invoice(1, version=3, deposit_id=LATER_DEPOSIT_ID))
    await office.publish(an_invoice(1, version=3, deposit_id=LATER_DEPOSIT_ID))

    assert waiting.letters == ()
    assert refused.key == old.key
    assert (await office.find()).letters == ()
    assert [letter.version for letter in (await office.find(LATER_DEPOSIT_ID)).letters] == [3]
    assert old.key in await office.discarded()
    assert await office.rows("SELECT key FROM print_run") == []


PERSONAL = """
SELECT request, cause, number, subject, payer_reference, payer_name, payer_address, needs_paper,
       original_key, document_key, print_key FROM folder WHERE invoice_id = $1
"""


async def personal(office: Office, invoice: InvoiceGenerated) -> set[object]:
    async with office.database.reading() as connection:
        row = await connection.fetchrow(PERSONAL, invoice.invoice_id)
    assert row is not None
    return set(row.values())


def with_original(number: int, name: str) -> InvoiceGenerated:
    file = StoredFile(key=f"deposits/d/{name}.pdf", size_bytes=1, sha256="0" * 64)
    return an_invoice(number, document=file)


@pytest.mark.parametrize("way", ["withdrawn", "purged"])
async def test_nothing_of_the_person_stays_in_a_closed_folder(office: Office, way: str) -> None:
    """Its files go, the biller's own too, and so does the merged file that holds its pages."""
    gone = with_original(1, "own")
    await office.hear(gone)
    await office.publish(gone)
    run = await office.find()
    await office.merged(run)

    async with office.folders() as folders:
        if way == "withdrawn":
            await folders.withdraw([(gone.invoice_id, gone.authority, gone.regie, 1)])
        else:
            assert await folders.purge(NOW.date() + timedelta(days=91), 10) == 1

    assert await personal(office, gone) == {None}
    assert await office.discarded() == {
        run.key,
        f"published/{gone.invoice_id}/v1.pdf",
        "deposits/d/own.pdf",
    }
    assert await office.rows("SELECT key FROM print_run") == []
    assert (await office.find()).letters == ()


async def test_a_file_that_two_lines_name_goes_with_the_last(office: Office) -> None:
    """A withdrawn invoice does not take its neighbour's document away."""
    one, two = with_original(1, "shared"), with_original(2, "shared")
    await office.hear(one, two)

    async with office.folders() as folders:
        await folders.withdraw([(one.invoice_id, TOWN, "CANTINE", 1)])
    first = await office.discarded()
    async with office.folders() as folders:
        await folders.withdraw([(two.invoice_id, TOWN, "CANTINE", 1)])

    assert first == set()
    assert await office.discarded() == {"deposits/d/shared.pdf"}


async def test_the_last_readable_day_is_not_purged(office: Office) -> None:
    """Ninety days are ninety days, for the letters as for the document."""
    invoice = an_invoice(1)
    await office.hear(invoice)
    await office.publish(invoice)

    async with office.folders() as folders:
        assert await folders.purge(NOW.date() + timedelta(days=90), 10) == 0

    assert len((await office.find()).letters) == 1


async def test_two_who_ask_at_once_want_one_file(office: Office) -> None:
    """And one of several replicas makes it."""
    invoice = an_invoice(1)
    await office.hear(invoice)
    await office.publish(invoice)
    run = await office.find()

    await asyncio.gather(*(office.ask(run) for _ in range(6)))
    claims = await asyncio.gather(*(office.binder.claim(5) for _ in range(3)))

    assert sorted(len(claimed) for claimed in claims) == [0, 0, 1]


async def test_a_claim_is_free_again_after_its_lease_or_a_restart(office: Office) -> None:
    """Whoever lost it records nothing any more."""
    invoice = an_invoice(1)
    await office.hear(invoice)
    await office.publish(invoice)
    run = await office.find()
    await office.ask(run)
    async with office.runs() as runs:
        [first] = await runs.claim(instance="a", now=NOW, lease=LEASE, limit=1)
        assert await runs.renew(run.key, "a", NOW + 2 * LEASE)
        assert await runs.claim(instance="b", now=NOW + LEASE, lease=LEASE, limit=1) == []

        [second] = await runs.claim(instance="b", now=NOW + 3 * LEASE, lease=LEASE, limit=1)

        assert (first.attempts, second.attempts) == (1, 2)
        assert not await runs.renew(run.key, "a", NOW + 9 * LEASE)
        assert not await runs.made(run.key, "a", 10)
        await runs.release_own("b")
        [third] = await runs.claim(instance="c", now=NOW, lease=LEASE, limit=1)
        assert third.manifest == first.manifest
        assert await runs.made(run.key, "c", 10)
        standing = await runs.find(run.key)
        assert standing is not None
        assert (standing.state, standing.size_bytes) == (PrintRunState.MADE, 10)


async def test_an_old_deposit_is_forgotten(office: Office) -> None:
    """Its invoices are purged long before."""
    await office.hear(an_invoice(1))
    async with office.folders() as folders:
        await folders.forget_parts(date(2000, 1, 1))
    kept = await office.rows("SELECT invoices FROM deposit_part")

    async with office.folders() as folders:
        await folders.forget_parts(date(9999, 1, 1))

    assert [row["invoices"] for row in kept] == [1]
    assert await office.rows("SELECT * FROM deposit_part") == []


async def test_what_waited_before_the_migration_is_counted(office: Office) -> None:
    """Rows of an older schema have their request: the migration reads the deposit from it."""
    await office.hear(with_original(1, "old"))
    steps = postgres.all_migrations("publication", Path(publication.__file__).parent)
    [step] = [step.sql for step in steps if step.name == "0002_create_print_run"]
    start = step.index("UPDATE folder SET")
    backfill = step[start : step.index(";", start)]
    async with office.database.transaction() as transaction:
        await transaction.connection.execute(
            "UPDATE folder SET deposit_id = NULL, original_key = NULL"
        )
        await transaction.connection.execute(backfill)

    [row] = await office.rows("SELECT deposit_id, original_key FROM folder")

    assert tuple(row) == (DEPOSIT_ID, "deposits/d/old.pdf")
