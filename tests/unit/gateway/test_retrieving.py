"""Finding an invoice by its reference, year and sum: all but the right ones tell nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, timedelta

import msgspec
import pytest
import pytest_asyncio

from gateway.store import PostgresPortal
from shared.clock import FixedClock
from shared.postgres import Database
from tests.unit.gateway.door import TODAY, Door, Page, a_withdrawal, an_invoice
from tests.unit.gateway.fakes import FakePasswords, FakeServices
from tests.unit.gateway.payers import an_invoice_of, id_of, seen_by

pytestmark = pytest.mark.enable_socket

RIGHT = {
    "collectivite": "saint-aubin",
    "reference": "2026-0001",
    "annee": "2026",
    "montant": "41,50",
}
NOT_FOUND = "Aucune facture ne correspond à ces quatre informations."


class CountingDoor(Door):
    """Notes every statement that the portal's store makes."""

    statements: list[str]

    @asynccontextmanager
    async def portal(self) -> AsyncIterator[PostgresPortal]:
        async with self.database.transaction() as transaction:
            with transaction.connection.query_logger(
                lambda record: self.statements.append(" ".join(record.query.split()))
            ):
                yield PostgresPortal(transaction)


@pytest_asyncio.fixture
async def counting(
    database: Database, clock: FixedClock, services: FakeServices
) -> AsyncIterator[CountingDoor]:
    CountingDoor.statements = []
    async with CountingDoor(database, clock, services, FakePasswords()) as door:
        yield door


async def retrieve(door: Door, **typed: str) -> Page:
    return await door.submit("/retrouver", {**RIGHT, **typed})


def alert_of(page: Page) -> str:
    return str(page.element("//p[@role='alert']").text_content())


@pytest_asyncio.fixture
async def town(door: Door) -> Door:
    """Return a browser before a town with an invoice of each route."""
    await door.add_town()
    await door.publish(
        an_invoice_of(1),
        msgspec.structs.replace(
            an_invoice(invoice_id=id_of(2), token="t" * 22, number="9-77", route="treasury"),
            fiscal_year=2025,
            debt_reference="202500000042AB",
        ),
    )
    return door


@pytest.mark.parametrize(
    "typed",
    [
        {},
        {"reference": "2026 0001"},
        {"reference": "20260001", "montant": "41.50 €"},
        {"reference": "9-77", "annee": "2025"},
        {"reference": "2025 0000 0042 ab", "annee": "2025"},
    ],
    ids=["as printed", "with a space", "without a dash", "number of a titre", "debt reference"],
)
async def test_what_is_printed_opens_the_invoice_as_its_code_does(
    town: Door, typed: dict[str, str]
) -> None:
    """C3: view, document and payment, with neither account nor code; never a name."""
    found = await retrieve(town, **typed)

    page = await town.get(found.location)
    document = await town.get(f"{found.location}/facture.pdf")
    paying = await town.submit("/payer", {"token": found.location.removeprefix("/q/")})
    assert (found.status, page.status, document.status, paying.status) == (303, 200, 200, 200)
    assert "41,50 €" in page.text
    assert "Martin" not in page.text


async def test_the_address_tells_nothing_and_is_kept_as_a_digest(town: Door) -> None:
    """256 random bits, another each time; whoever reads the table opens nothing."""
    first, second = await retrieve(town), await retrieve(town)

    async with town.database.reading() as connection:
        rows = str(await connection.fetch("SELECT * FROM opening"))
    assert first.location != second.location
    assert len(first.location.removeprefix("/q/")) == 43
    assert first.location.removeprefix("/q/") not in rows
    assert town.cookie("opening") not in rows


async def test_the_address_opens_nothing_in_another_browser(town: Door) -> None:
    """It is bound to the cookie of the browser that gave the sum: no address to pass on."""
    found = await retrieve(town)

    town.forget_cookies()

    for path in (found.location, f"{found.location}/facture.pdf", f"{found.location}/payer"):
        assert (await town.get(path)).status == 404
    town.set_cookie("opening", "a" * 43)
    assert (await town.get(found.location)).status == 404


async def test_the_invoice_closes_after_half_an_hour(town: Door, clock: FixedClock) -> None:
    """On the server, whatever the cookie says; and nothing of it is kept."""
    found = await retrieve(town)

    clock.advance(timedelta(minutes=29))
    before = (await town.get(found.location)).status
    clock.advance(timedelta(minutes=1))
    after = (await town.get(found.location)).status
    async with town.portal() as portal:
        await portal.tidy_openings(clock.now())

    assert (before, after) == (200, 404)
    assert await town.count("opening") == 0


async def test_what_was_found_is_added_with_the_sum_as_evidence(town: Door) -> None:
    """And brings its payer's other invoices, as the paper's code does."""
    account_id = await town.log_in(verified=False)
    await town.publish(an_invoice_of(5))
    found = await retrieve(town)

    added = await town.send(await town.get(found.location), f"{found.location}/rattacher")

    page = await town.get("/compte/payeurs")
    assert added.location == f"/factures/{id_of(1)}"
    assert await seen_by(town, account_id) == ["2026-0001", "2026-0005", "9-77"]
    assert "grâce à la référence et au montant de la facture n° 2026-0001" in page.text


@pytest.mark.parametrize(
    "typed",
    [
        {"montant": "41,51"},
        {"annee": "2025"},
        {"reference": "2026-9999"},
        {"collectivite": "val-de-brume"},
        {"collectivite": "nowhere"},
        {"reference": "2026%"},
        {"reference": "2026-0001' OR '1'='1"},
    ],
)
async def test_every_failure_answers_alike(town: Door, typed: dict[str, str]) -> None:
    """ASVS 6.3.8: one status and one sentence; nothing opens."""
    expected = await retrieve(town, reference="2026-8888")

    page = await retrieve(town, **typed)

    assert (page.status, alert_of(page)) == (expected.status, alert_of(expected))
    assert page.status == 404
    assert NOT_FOUND in alert_of(page)
    assert await town.count("opening") == 0


async def test_every_failure_asks_the_same_questions(counting: CountingDoor) -> None:
    """C3: as many statements, and the same, whether the reference exists: no time tells it."""
    await counting.add_town()
    await counting.publish(an_invoice_of(1))
    seal = (await counting.get("/retrouver")).fields("/retrouver")["formulaire"]
    asked = []

    for reference, sum_ in (("2026-0001", "1,00"), ("2026-9999", "1,00"), ("XX", "41,50")):
        counting.statements.clear()
        fields = RIGHT | {"reference": reference, "montant": sum_, "formulaire": seal}
        page = await counting.post("/retrouver", fields)
        assert page.status == 404
        asked.append(list(counting.statements))

    assert len(asked[0]) > 5
    assert asked[0] == asked[1] == asked[2]


@pytest.mark.parametrize("reference", ["2026-0001", "2026-9999"])
async def test_a_reference_is_locked_after_five_sums_for_ever_longer(
    town: Door, clock: FixedClock, reference: str
) -> None:
    """C3: whether it exists or not, from wherever; even the right sum waits then."""
    wrong = [await retrieve(town, reference=reference, montant=f"1,0{n}") for n in range(5)]
    statuses, waits = [page.status for page in wrong], []

    for _ in range(4):
        locked = await retrieve(town, reference=reference)
        waits.append(int(locked.headers["Retry-After"]))
        clock.advance(timedelta(seconds=waits[-1]))
        statuses.append((await retrieve(town, reference=reference, montant="1,09")).status)

    assert statuses == [404] * 9
    assert waits == [300, 600, 1200, 2400]


async def test_the_right_sum_forgets_the_wrong_ones(town: Door) -> None:
    """Who mistyped four times and then did not is not locked out the next time."""
    for attempt in range(4):
        await retrieve(town, montant=f"1,0{attempt}")

    await retrieve(town)

    assert await town.count("wrong_amount") == 0


async def test_guessing_from_one_place_is_slowed_down(town: Door) -> None:
    """S8: by address of the network, whichever references are tried."""
    statuses = [(await retrieve(town, reference=f"A{n}")).status for n in range(21)]

    assert statuses == [404] * 20 + [429]


async def test_guessing_in_one_town_from_everywhere_is_slowed_down(
    database: Database, clock: FixedClock, services: FakeServices
) -> None:
    """C3: a limit by authority too, which no number of addresses escapes."""
    async with database.transaction() as transaction:
        await transaction.connection.execute(
            "INSERT INTO throttle (bucket, failures, started_at)"
            " VALUES ('reference-authority:saint-aubin', 299, $1)",
            clock.now(),
        )
    async with Door(database, clock, services, FakePasswords()) as door:
        await door.add_town()
        statuses = [
            (await retrieve(door, collectivite=town, reference=f"B{n}")).status
            for n, town in enumerate(["saint-aubin", "saint-aubin", "val-de-brume"])
        ]

    assert statuses == [404, 429, 404]


async def test_many_failures_raise_the_alarm(town: Door, clock: FixedClock) -> None:
    """ASVS 16.3: a crowd of guessers is seen, not only slowed."""
    async with town.portal() as portal:
        for _ in range(199):
            await portal.count_alarm("reference", "saint-aubin", 200, clock.now())

    await retrieve(town, montant="1,00")

    assert len(town.pauses) == 1


async def test_an_alarm_shuts_no_town_off(town: Door, clock: FixedClock) -> None:
    """Each place gets fewer attempts while it holds; a whole town must not share those few."""
    async with town.portal() as portal:
        for _ in range(200):
            await portal.count_alarm("reference", "saint-aubin", 200, clock.now())
    statuses = [(await retrieve(town, reference=f"C{n}")).status for n in range(4)]
    async with town.database.transaction() as transaction:
        # The next comes from elsewhere.
        await transaction.connection.execute("DELETE FROM throttle WHERE bucket LIKE '%:address:%'")

    elsewhere = await retrieve(town)

    assert statuses == [404, 404, 404, 429]
    assert elsewhere.status == 303


async def test_an_ambiguous_number_opens_nothing(town: Door) -> None:
    """Two régies may use one number for one sum: nobody is shown the other's invoice."""
    await town.publish(
        msgspec.structs.replace(an_invoice_of(3), number="2026-0001", regie="PISCINE")
    )

    assert (await retrieve(town)).status == 404


async def test_a_withdrawn_invoice_is_not_found(town: Door) -> None:
    """It is owed by nobody."""
    await town.publish(an_invoice(number="R-1"))
    async with town.portal() as portal:
        await portal.withdraw([a_withdrawal()])

    assert (await retrieve(town, reference="R-1")).status == 404


@pytest.mark.parametrize(
    "typed",
    [
        {"annee": "26"},
        {"annee": "²⁰²⁶"},
        {"montant": "beaucoup"},
        {"montant": "0"},
        {"reference": "---"},
        {"collectivite": ""},
    ],
)
async def test_what_is_not_filled_in_is_asked_again(town: Door, typed: dict[str, str]) -> None:
    """And counts as no guess; what was typed is shown again as text."""
    page = await retrieve(town, **typed)

    assert page.status == 422
    assert "Remplissez les quatre champs" in page.text
    assert await town.count("wrong_amount") == 0


async def test_a_forged_form_finds_nothing(town: Door) -> None:
    """ASVS 3.5.1."""
    page = await town.post("/retrouver", RIGHT)

    assert page.status == 403
    assert await town.count("opening") == 0


async def test_the_year_of_an_invoice_is_that_of_its_issue(town: Door) -> None:
    """What is printed on it, where it has no fiscal year."""
    await town.publish(
        msgspec.structs.replace(
            an_invoice_of(7), issued_on=date(2024, 12, 31), due_on=TODAY + timedelta(days=1)
        )
    )

    found = [
        (await retrieve(town, reference="2026-0007", annee=year)).status
        for year in ("2024", "2026")
    ]

    assert found == [303, 404]
