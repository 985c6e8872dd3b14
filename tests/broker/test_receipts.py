"""Quittances on PostgreSQL: numbers without gap (L10), whatever comes late or side by side."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

import reconciliation
from demo import ports
from demo.postgres import EmbeddedPostgres
from reconciliation.adapters.printing import TypstPrinter
from reconciliation.api.receipts import ReceiptDoors, ReceiptList
from reconciliation.domain.receipts import ReceiptPart
from reconciliation.store.receipts import PostgresReceipts
from shared import postgres
from shared.auth import InvalidTokenError, Principal
from shared.clock import FixedClock
from shared.http import create_application
from shared.postgres import Database
from tests.broker.observing import until
from tests.broker.receipt_office import NOW, ReceiptOffice
from tests.unit.publication.publication_builders import texts_of

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="module")]

Client: TypeAlias = TestClient[web.Request, web.Application]


class Tokens:
    """The portal's own token, and one of a biller of another town."""

    async def authenticate(self, token: str) -> Principal:
        if token == "portal":
            scopes = frozenset({"receipts:read"})
            return Principal(subject="gateway", authority="", regies=(), scopes=scopes)
        if token in ("elsewhere", "biller"):
            scopes = frozenset({"receipts:read" if token == "elsewhere" else "collections:read"})
            return Principal(
                subject=token, authority="ailleurs", regies=("CANTINE",), scopes=scopes
            )
        raise InvalidTokenError


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def database(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Database]:
    folder = tmp_path_factory.mktemp("reconciliation")
    async with EmbeddedPostgres(folder, port=ports.choose()["database"]) as server:
        url = await server.create_database("r", role="reconciliation", password="reconciliation")
        steps = postgres.all_migrations("reconciliation", Path(reconciliation.__file__).parent)
        await postgres.migrate(url, steps)
        database = await Database.connect(url, size=12, service="reconciliation")
        yield database
        await database.close()


@pytest.fixture
def office(database: Database) -> ReceiptOffice:
    return ReceiptOffice(database)


@pytest_asyncio.fixture(loop_scope="module")
async def client(database: Database) -> AsyncIterator[Client]:
    @asynccontextmanager
    async def open_receipts() -> AsyncIterator[PostgresReceipts]:
        async with database.reading() as connection:
            yield PostgresReceipts(connection)

    printer = TypstPrinter()
    application = create_application(
        "reconciliation",
        ReceiptDoors(open_receipts, printer, FixedClock(NOW)).operations(),
        authenticator=Tokens(),
    )
    async with TestClient(TestServer(application)) as opened:
        yield opened
    printer.close()


async def get(client: Client, path: str, token: str = "portal") -> tuple[int, bytes]:
    answer = await client.get(path, headers={"Authorization": f"Bearer {token}"})
    return answer.status, await answer.read()


async def post(client: Client, body: object) -> tuple[int, bytes]:
    headers = {"Authorization": "Bearer portal", "Content-Type": "application/json"}
    answer = await client.post("/v1/statements", data=msgspec.json.encode(body), headers=headers)
    return answer.status, await answer.read()


async def test_a_payment_is_receipted_when_it_is_booked(office: ReceiptOffice) -> None:
    """B9: at once, with the words of the invoice and the number of the régie's year."""
    payment = office.payment("F-1", "F-2")
    await office.book(office.invoice("F-1"), office.invoice("F-2"), payment)

    [receipt] = await office.receipts(payment)

    assert receipt.reference == "CANTINE-2026-000001"
    assert (receipt.amount_cents, receipt.returned_cents) == (8300, 0)
    assert (receipt.authority_name, receipt.regie_label) == (
        "Ville de Saint-Aubin",
        "Restauration scolaire",
    )
    assert (receipt.means, receipt.provider_reference) == ("card", "LYRA-0815")
    assert receipt.parts == tuple(
        ReceiptPart(
            invoice_id=office.id_of(number),
            invoice_number=number,
            subject=f"Cantine {number}",
            payer_name="Camille Martin",
            amount_cents=4150,
        )
        for number in ("F-1", "F-2")
    )
    assert await office.waiting() == 0


async def test_each_regie_and_each_year_counts_from_one(office: ReceiptOffice) -> None:
    """By the year in France in which it is given."""
    await office.book(
        office.invoice("F-1"),
        office.invoice("M-1", regie="MUSIQUE"),
        office.payment("F-1"),
        office.payment("M-1", regie="MUSIQUE"),
        office.payment("F-1"),
    )
    # Half past midnight in Paris is still the old year in Greenwich.
    office.at = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)
    await office.book(office.payment("F-1"))

    assert await office.numbers("CANTINE") == [1, 2]
    assert await office.numbers("MUSIQUE") == [1]
    assert await office.numbers("CANTINE", 2027) == [1]


async def test_the_same_fact_again_gives_no_second_number(office: ReceiptOffice) -> None:
    """Under another message id, in another batch, after a restart: one payment, one quittance."""
    payment = office.payment("F-1")
    await office.book(office.invoice("F-1"), payment)
    before = await office.receipts(payment)

    office.at = datetime(2027, 1, 2, tzinfo=UTC)
    await office.book(payment, office.invoice("F-1"), office.invoice("F-1", version=2))
    await office.book(payment)

    assert await office.receipts(payment) == before
    assert await office.numbers() == [1]
    assert await office.numbers(year=2027) == []
    assert await office.waiting() == 0


async def test_a_payment_before_its_invoice_is_receipted_with_it(office: ReceiptOffice) -> None:
    """Until then neither its route nor its words are known: no number is given on a guess."""
    early, later = office.payment("F-1"), office.payment("F-2")
    await office.book(early)
    waited = await office.receipts(early)
    await office.book(office.invoice("F-2"), later)

    await office.book(office.invoice("F-1"))

    assert waited == []
    assert [r.number for r in await office.receipts(later)] == [1]
    [receipt] = await office.receipts(early)
    assert (receipt.number, receipt.parts[0].subject) == (2, "Cantine F-1")
    assert await office.waiting() == 0


async def test_a_basket_waits_for_its_last_invoice(office: ReceiptOffice) -> None:
    """One payment has one quittance, not two halves."""
    payment = office.payment("F-1", "F-2")
    await office.book(payment, office.invoice("F-2"))

    waited = await office.receipts(payment), await office.waiting()
    await office.book(office.invoice("F-1"))

    assert waited == ([], 1)
    [receipt] = await office.receipts(payment)
    assert [part.invoice_number for part in receipt.parts] == ["F-1", "F-2"]


async def test_two_invoices_that_become_known_side_by_side_leave_no_payment_behind(
    office: ReceiptOffice,
) -> None:
    """Neither transaction sees the other's invoice: the one that comes second gives it."""
    payment = office.payment("F-1", "F-2")
    await office.book(payment)

    async with office.transaction() as first:
        await office.book_within(first, [office.invoice("F-1")])
        second = asyncio.create_task(office.book(office.invoice("F-2")))
        # It waits for the first to end; if it did not, it would have seen one invoice only.
        await until(lambda: ended_or_waits(second, office), "the second")
    await second

    assert [r.number for r in await office.receipts(payment)] == [1]
    assert await office.waiting() == 0


async def ended_or_waits(task: asyncio.Task[None], office: ReceiptOffice) -> bool:
    async with office.database.reading() as connection:
        waits: bool = await connection.fetchval(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"
        )
    return task.done() or waits


async def test_the_treasurys_money_is_never_receipted_here(office: ReceiptOffice) -> None:
    """What PayFiP takes for a titre is the DGFiP's to receipt: no number, and none is kept free."""
    titre, other = office.payment("T-1"), office.payment("F-1")
    await office.book(office.invoice("T-1", route="treasury"), titre)
    await office.book(office.invoice("F-1"), other)

    assert await office.receipts(titre) == []
    assert [r.number for r in await office.receipts(other)] == [1]
    assert await office.waiting() == 0


async def test_what_went_back_is_told_and_changes_no_number(office: ReceiptOffice) -> None:
    """In part, then all of it: the quittance stays, and says that it is void."""
    payment = office.payment("F-1")
    await office.book(office.invoice("F-1"), payment, office.reversal(payment, 1000))
    [in_part] = await office.receipts(payment)
    await office.book(office.reversal(payment, 3150), office.payment("F-1"))

    [void] = await office.receipts(payment)

    assert (in_part.number, in_part.returned_cents) == (1, 1000)
    assert (void.number, void.amount_cents, void.returned_cents) == (1, 4150, 4150)
    assert await office.numbers() == [1, 2]


async def test_a_reversal_before_its_payment_is_told_all_the_same(office: ReceiptOffice) -> None:
    """Topics are not ordered against each other."""
    payment = office.payment("F-1")
    await office.book(office.invoice("F-1"), office.reversal(payment))

    await office.book(payment)

    [receipt] = await office.receipts(payment)
    assert (receipt.number, receipt.returned_cents) == (1, 4150)


async def test_numbers_have_no_gap_and_no_double_under_concurrency(office: ReceiptOffice) -> None:
    """L10: six writers, batches of every size, some rolled back after they took their numbers."""
    chance = random.Random(20261124)
    invoices = [office.invoice(f"F-{n}") for n in range(40)]
    regie_of = {n: chance.choice(["CANTINE", "MUSIQUE"]) for n in range(40)}
    payments = [office.payment(f"F-{n}", regie=regie_of[n]) for n in range(40)]
    facts = [*invoices, *payments, *chance.sample(payments, 15), *chance.sample(invoices, 15)]
    chance.shuffle(facts)
    batches = []
    while facts:
        batches.append([facts.pop() for _ in range(min(len(facts), chance.randint(1, 6)))])
    lost = set(chance.sample(range(len(batches)), len(batches) // 3))
    queue = list(enumerate(batches))

    async def work() -> None:
        while queue:
            position, batch = queue.pop()
            try:
                async with office.transaction() as transaction:
                    await office.book_within(transaction, batch)
                    if position in lost:
                        lost.remove(position)
                        await transaction.connection.execute("SELECT 1 / 0")
            except (asyncpg.DivisionByZeroError, asyncpg.DeadlockDetectedError):
                # As the consumer does: once more, whole.
                queue.append((position, batch))

    await asyncio.gather(*(work() for _ in range(6)))

    numbers = {regie: await office.numbers(regie) for regie in ("CANTINE", "MUSIQUE")}
    assert {regie: found == list(range(1, len(found) + 1)) for regie, found in numbers.items()} == {
        "CANTINE": True,
        "MUSIQUE": True,
    }
    assert sum(len(found) for found in numbers.values()) == 40
    assert {len(await office.receipts(payment)) for payment in payments} == {1}
    assert await office.waiting() == 0


async def test_a_quittance_that_is_given_is_never_changed(
    office: ReceiptOffice, database: Database
) -> None:
    """The database itself refuses, as it does for the books."""
    await office.book(office.invoice("F-1"), office.payment("F-1"))

    for statement in (
        "UPDATE receipt SET number = 7",
        "DELETE FROM receipt_part",
        "TRUNCATE receipt CASCADE",
    ):
        async with database.reading() as connection:
            with pytest.raises(asyncpg.RaiseError, match="written once"):
                await connection.execute(statement)
    assert await office.numbers() == [1]


async def test_the_portal_reads_a_quittance_and_its_pdf(
    office: ReceiptOffice, client: Client
) -> None:
    """Sum in figures and words, means, reference, number; the payer only when it is asked for."""
    payment = office.payment("F-1")
    await office.book(office.invoice("F-1"), payment)

    _, told = await get(client, f"/v1/receipts?payment_id={payment.payment_id}")
    path = f"/v1/payments/{payment.payment_id}/receipt.pdf"
    named, unnamed = await get(client, f"{path}?named=true"), await get(client, path)

    [item] = msgspec.json.decode(told, type=ReceiptList).items
    assert (item.number, item.amount_cents) == ("CANTINE-2026-000001", 4150)
    [page] = texts_of(named[1])
    for words in (
        "Quittance n° CANTINE-2026-000001",
        "Ville de Saint-Aubin",
        "Restauration scolaire",
        "Camille Martin",
        "quarante et un euros et cinquante centimes",
        "carte bancaire",
        "LYRA-0815",
        "1er décembre 2026",
        "Cantine F-1",
    ):
        assert words in " ".join(page.split()), words
    assert "41,50" in page
    assert "ANNULÉE" not in page
    assert "Camille Martin" not in texts_of(unnamed[1])[0]


async def test_the_same_quittance_has_the_same_bytes(office: ReceiptOffice, client: Client) -> None:
    """Printed today or next year: what is kept can be compared."""
    payment = office.payment("F-1")
    await office.book(office.invoice("F-1"), payment)
    path = f"/v1/payments/{payment.payment_id}/receipt.pdf"

    assert (await get(client, path))[1] == (await get(client, path))[1]


async def test_a_void_quittance_says_so(office: ReceiptOffice, client: Client) -> None:
    """Nobody shows a paid invoice with money that went back."""
    payment = office.payment("F-1")
    await office.book(office.invoice("F-1"), payment, office.reversal(payment))

    _, pdf = await get(client, f"/v1/payments/{payment.payment_id}/receipt.pdf")

    assert "ANNULÉE" in texts_of(pdf)[0]


async def test_who_sees_one_invoice_of_a_basket_sees_no_other(
    office: ReceiptOffice, client: Client
) -> None:
    """An extract: the sum is that of what is shown, and it is told that there is more."""
    payment = office.payment("F-1", "F-2")
    await office.book(
        office.invoice("F-1"), office.invoice("F-2", payer="Dominique Petit"), payment
    )
    path = f"/v1/payments/{payment.payment_id}/receipt.pdf"

    status, pdf = await get(client, f"{path}?named=true&invoice_ids={office.id_of('F-1')}")

    [page] = texts_of(pdf)
    assert status == 200
    assert "Extrait" in page
    assert "41,50" in page
    assert "83,00" not in page
    assert "F-2" not in page
    assert "Dominique" not in page


@pytest.mark.parametrize("invoice_ids", ["", "x", str(UUID(int=0)), str(uuid4())])
async def test_a_quittance_of_none_of_the_invoices_is_not_there(
    office: ReceiptOffice, client: Client, invoice_ids: str
) -> None:
    """An empty list shows nothing: it is not taken for all."""
    payment = office.payment("F-1")
    await office.book(office.invoice("F-1"), payment)

    status, body = await get(
        client, f"/v1/payments/{payment.payment_id}/receipt.pdf?invoice_ids={invoice_ids}"
    )

    assert status == 404
    assert b"unknown-receipt" in body


@pytest.mark.parametrize(("token", "status"), [("elsewhere", 404), ("biller", 403), ("x", 401)])
async def test_quittances_are_for_the_portal_alone(
    office: ReceiptOffice, client: Client, token: str, status: int
) -> None:
    """Another town's token sees none of ours, with whatever payment it asks."""
    payment = office.payment("F-1")
    await office.book(office.invoice("F-1"), payment)

    found = await get(client, f"/v1/payments/{payment.payment_id}/receipt.pdf", token)
    listed = await get(client, f"/v1/receipts?payment_id={payment.payment_id}", token)

    assert found[0] == status
    assert listed[1] == b'{"items":[]}' if token == "elsewhere" else listed[0] == status


async def test_an_attestation_lists_a_year_of_one_authority(
    office: ReceiptOffice, client: Client
) -> None:
    """The civil year in France; what went back is taken off; invoices of others stay out."""
    new_year = datetime(2025, 12, 31, 23, 30, tzinfo=UTC)
    last_year = datetime(2025, 12, 31, 22, 30, tzinfo=UTC)
    first, back = office.payment("F-1", paid_at=new_year), office.payment("F-2")
    await office.book(
        *(office.invoice(f"F-{n}") for n in range(1, 5)),
        first,
        back,
        office.payment("F-3", paid_at=last_year),
        office.payment("F-4"),
        office.reversal(back, 1000),
    )
    ids = [office.id_of(f"F-{n}") for n in range(1, 4)]

    status, pdf = await post(
        client, {"authority": office.authority, "year": 2026, "invoice_ids": ids}
    )

    text = " ".join(texts_of(pdf)[0].split())
    assert status == 200
    assert "Attestation de paiement 2026" in text
    assert "73,00" in text
    assert "soixante-treize euros" in text
    assert "Cantine F-1" in text
    assert "Cantine F-2" in text
    assert "F-3" not in text
    assert "F-4" not in text


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"year": 2024}, 404, b"nothing-paid"),
        ({"authority": "ailleurs"}, 404, b"nothing-paid"),
        ({"invoice_ids": [str(uuid4())]}, 404, b"nothing-paid"),
        ({"invoice_ids": []}, 422, b"invalid-body"),
        ({"invoice_ids": ["x"]}, 422, b"invalid-body"),
        ({"year": 99999}, 422, b"invalid-year"),
        ({"more": 1}, 422, b"invalid-body"),
    ],
)
async def test_an_attestation_of_nothing_is_none(
    office: ReceiptOffice, client: Client, changes: dict[str, object], status: int, code: bytes
) -> None:
    """Another year, another authority, somebody else's invoice, or nonsense."""
    await office.book(office.invoice("F-1"), office.payment("F-1"))
    body = {
        "authority": office.authority,
        "year": 2026,
        "invoice_ids": [str(office.id_of("F-1"))],
    }

    found = await post(client, body | changes)

    assert found[0] == status
    assert code in found[1]
