"""The doors of the post, and the worker behind them: who may ask, when, and what comes back."""

import csv
from collections.abc import AsyncIterator
from io import StringIO
from typing import TypeAlias
from uuid import UUID

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from publication.adapters.print_run import BinderDiedError
from publication.api.print_runs import PrintRunDoors, table
from publication.domain import PrintRun, print_run_of
from publication.handlers.bind_print_run import PrintRunBinder
from publication.handlers.find_print_run import find_merged_file, find_print_run
from publication.ports import (
    BindingError,
    Demand,
    Fetch,
    Manifest,
    PrintRunStanding,
    PrintRunState,
    Progress,
)
from shared.auth import InvalidTokenError, Principal
from shared.clock import FixedClock
from shared.http import create_application
from tests.unit.publication.publication_builders import (
    DEPOSIT_ID,
    NOW,
    TOWN,
    FakePrintRuns,
    FakeStorage,
    a_letter,
)

pytestmark = pytest.mark.enable_socket

Client: TypeAlias = TestClient[web.Request, web.Application]
PDF = f"/v1/deposits/{DEPOSIT_ID}/print-run.pdf"
JSON = f"/v1/deposits/{DEPOSIT_ID}/print-run.json"
CSV = f"/v1/deposits/{DEPOSIT_ID}/print-run.csv"
BILLER = {"Authorization": "Bearer biller"}


class Tokens:
    async def authenticate(self, token: str) -> Principal:
        known = {
            "biller": (TOWN, ("CANTINE",), {"deposits:read"}),
            "creche": (TOWN, ("CRECHE",), {"deposits:read"}),
            "other": ("otherville", ("CANTINE",), {"deposits:read"}),
            "feed": (TOWN, ("CANTINE",), {"collections:read"}),
        }
        if token not in known:
            raise InvalidTokenError
        authority, regies, scopes = known[token]
        return Principal(
            subject=token, authority=authority, regies=regies, scopes=frozenset(scopes)
        )


class JoiningBinder:
    """Joins files as they are, or fails as it is told to."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.bound: list[Manifest] = []

    async def bind(self, manifest: Manifest, fetch: Fetch) -> AsyncIterator[bytes]:
        self.bound.append(manifest)
        for file in manifest.files:
            yield await fetch(file.key)
        if self.error is not None:
            raise self.error


class Post:
    """Print runs with their worker, which works whenever a door wakes it."""

    def __init__(self) -> None:
        self.runs = FakePrintRuns(
            a_letter(2, address=("9 rue A", "59000 LILLE"), name="=Zoé"),
            a_letter(1, address=("10 rue A", "59000 LILLE"), pages=3),
        )
        self.storage = FakeStorage(
            **{"published/1.pdf": b"one" * 1000, "published/2.pdf": b"two" * 1000}
        )
        self.binder = JoiningBinder()
        self.clock = FixedClock(NOW)
        self.worker = PrintRunBinder(
            instance="a",
            open_runs=self.runs.open,
            archive=self.storage,
            binder=self.binder,
            clock=self.clock,
        )
        self.patience_seconds = 5.0
        self.is_working = True

    async def find(self, demand: Demand, caller: Principal) -> PrintRun:
        return await find_print_run(
            demand, may_act_for=caller.may_act_for, open_runs=self.runs.open
        )

    async def merge(self, run: PrintRun) -> PrintRunStanding | None:
        if self.is_working:
            # What another replica would do while the door waits.
            await find_merged_file(
                run, patience_seconds=0, open_runs=self.runs.open, wake=lambda: None
            )
            await self.work()
        return await find_merged_file(
            run,
            patience_seconds=self.patience_seconds,
            open_runs=self.runs.open,
            wake=lambda: None,
        )

    async def work(self) -> None:
        await self.worker.perform(await self.worker.claim(5))

    async def forget(self, run: PrintRun) -> None:
        await self.runs.forget(run.key, PrintRunState.MADE)

    @property
    def only_run(self) -> PrintRunStanding:
        [run] = self.runs.runs.values()
        return run


@pytest.fixture
def post() -> Post:
    """Return print runs of one deposit with two letters."""
    return Post()


@pytest.fixture
async def client(post: Post) -> AsyncIterator[Client]:
    """Return a client of the doors."""
    doors = PrintRunDoors(
        find=post.find,
        merge=post.merge,
        forget=post.forget,
        storage=post.storage,  # type: ignore[arg-type]
    )
    application = create_application("publication", doors.operations(), authenticator=Tokens())
    async with TestClient(TestServer(application)) as opened:
        yield opened


async def test_sends_the_letters_in_postal_order(client: Client, post: Post) -> None:
    """Number 9 lies before number 10 of the same street."""
    answer = await client.get(PDF, headers=BILLER)

    assert answer.status == 200
    assert answer.content_type == "application/pdf"
    assert await answer.read() == b"two" * 1000 + b"one" * 1000
    assert answer.headers["Content-Length"] == "6000"
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert answer.headers["Content-Disposition"] == (
        f'attachment; filename="tirage-{DEPOSIT_ID}.pdf"'
    )


async def test_the_second_download_is_a_read(client: Client, post: Post) -> None:
    """The file is kept under the list of its letters; both sides are another file."""
    await client.get(PDF, headers=BILLER)
    await client.get(PDF, headers=BILLER)

    assert len(post.binder.bound) == 1

    await client.get(PDF, headers=BILLER, params={"duplex": "true"})

    assert [manifest.is_duplex for manifest in post.binder.bound] == [False, True]


async def test_a_letter_less_is_another_file(client: Client, post: Post) -> None:
    """What was withdrawn is in no file that is sent afterwards."""
    await client.get(PDF, headers=BILLER)
    del post.runs.letters_held[0]

    answer = await client.get(PDF, headers=BILLER)

    assert await answer.read() == b"one" * 1000


async def test_a_long_run_is_answered_later(client: Client, post: Post) -> None:
    """202 with a time to come back; it is asked for once however often somebody comes."""
    post.is_working = False
    post.patience_seconds = 0

    first = await client.get(PDF, headers=BILLER)
    second = await client.get(PDF, headers=BILLER)

    assert [first.status, second.status] == [202, 202]
    assert first.headers["Retry-After"] == "5"
    assert (await first.json())["code"] == "being-made"
    assert post.only_run.state is PrintRunState.WANTED

    await post.work()
    third = await client.get(PDF, headers=BILLER)

    assert third.status == 200
    assert len(post.binder.bound) == 1


async def test_waits_for_invoices_that_are_being_made(client: Client, post: Post) -> None:
    """A run that lacks a letter would never be completed by anybody."""
    post.runs.progress_held = Progress(waiting=3, published=2, refused=1)

    for path in (PDF, JSON, CSV):
        answer = await client.get(path, headers=BILLER)

        assert answer.status == 409
        problem = await answer.json()
        assert problem["code"] == "not-ready"
        assert (problem["waiting"], problem["published"], problem["refused"]) == (3, 2, 1)
    assert post.runs.runs == {}


async def test_waits_for_invoices_that_have_not_come_yet(client: Client) -> None:
    """Who knows how many there are says so, since they arrive one after the other."""
    early = await client.get(PDF, headers=BILLER, params={"expected": "7"})
    complete = await client.get(PDF, headers=BILLER, params={"expected": "2"})

    assert early.status == 409
    assert (await early.json())["waiting"] == 5
    assert complete.status == 200


@pytest.mark.parametrize("token", ["other", "creche"])
@pytest.mark.parametrize("path", [PDF, JSON, CSV])
async def test_another_town_or_regie_sees_no_deposit(client: Client, path: str, token: str) -> None:
    """As if it did not exist."""
    answer = await client.get(path, headers={"Authorization": f"Bearer {token}"})

    assert answer.status == 404
    assert (await answer.json())["code"] == "unknown-deposit"


@pytest.mark.parametrize("deposit", [str(UUID(int=9)), "not-an-id"])
async def test_an_unknown_deposit_is_not_found(client: Client, deposit: str) -> None:
    """Neither one that never came nor what is no identifier at all."""
    answer = await client.get(f"/v1/deposits/{deposit}/print-run.pdf", headers=BILLER)

    assert answer.status == 404
    assert (await answer.json())["code"] == "unknown-deposit"


async def test_a_biller_of_two_regies_gets_the_letters_of_both(client: Client, post: Post) -> None:
    """And who may act for one of them gets that one's."""
    post.runs.letters_held.append(a_letter(3, regie="CRECHE"))
    post.runs.parts_held[TOWN, "CRECHE"] = 1

    canteen = await (await client.get(JSON, headers=BILLER)).json()
    nursery = await (await client.get(JSON, headers={"Authorization": "Bearer creche"})).json()

    assert [letter["regie"] for letter in canteen["letters"]] == ["CANTINE", "CANTINE"]
    assert [letter["regie"] for letter in nursery["letters"]] == ["CRECHE"]


@pytest.mark.parametrize(
    ("headers", "status"), [({}, 401), ({"Authorization": "Bearer feed"}, 403)]
)
@pytest.mark.parametrize("path", [PDF, JSON, CSV])
async def test_a_token_with_the_right_is_needed(
    client: Client, path: str, headers: dict[str, str], status: int
) -> None:
    """`deposits:read`, no other."""
    assert (await client.get(path, headers=headers)).status == status


async def test_a_deposit_without_letters_has_an_empty_index_and_no_file(
    client: Client, post: Post
) -> None:
    """Everybody has an e-mail address: a file of no page does not exist."""
    post.runs.letters_held.clear()

    index = await client.get(JSON, headers=BILLER)
    file = await client.get(PDF, headers=BILLER)

    assert (await index.json())["letters"] == []
    assert file.status == 404
    assert (await file.json())["code"] == "nothing-to-print"
    assert post.runs.runs == {}


@pytest.mark.parametrize(
    "query", [{"duplex": "yes"}, {"expected": "-1"}, {"expected": "²"}, {"expected": "9" * 10}]
)
async def test_refuses_parameters_that_say_nothing(client: Client, query: dict[str, str]) -> None:
    """Rather than print on one side what was meant for two."""
    answer = await client.get(JSON, headers=BILLER, params=query)

    assert answer.status == 400
    assert (await answer.json())["code"] == "invalid-parameter"


async def test_the_index_names_pages_address_and_weight(client: Client) -> None:
    """What mailing software needs beside the file."""
    answer = await client.get(JSON, headers=BILLER, params={"duplex": "true"})

    content = await answer.json()
    letters = content.pop("letters")
    assert content == {
        "deposit_id": str(DEPOSIT_ID),
        "duplex": True,
        "letter_count": 2,
        "pages": 6,
        "sheets": 3,
    }
    assert letters[1] == {
        "sequence": 2,
        "first_page": 3,
        "last_page": 6,
        "pages": 3,
        "blank_pages": 1,
        "sheets": 2,
        "invoice_id": str(UUID(int=1)),
        "regie": "CANTINE",
        "number": "2026-1",
        "subject": "Repas",
        "payer_reference": "FAM-1",
        "name": "Camille Martin",
        "address": ["10 rue A", "59000 LILLE"],
        "postcode": "59000",
        "city": "LILLE",
        "country": "",
        "address_state": "complete",
        "weight_grams": 15,
        "weight_class_grams": 20,
    }


async def test_the_table_opens_in_a_french_spreadsheet(client: Client) -> None:
    """UTF-8 with its mark, semicolons, and no cell that is a program."""
    answer = await client.get(CSV, headers=BILLER)

    content = await answer.read()
    assert content.startswith(b"\xef\xbb\xbf")
    assert answer.content_type == "text/csv"
    rows = list(csv.DictReader(StringIO(content.decode("utf-8-sig")), delimiter=";"))
    assert [row["name"] for row in rows] == ["'=Zoé", "Camille Martin"]
    assert [(row["first_page"], row["last_page"]) for row in rows] == [("1", "1"), ("2", "4")]
    assert [row["address_1"] for row in rows] == ["9 rue A", "10 rue A"]
    assert [row["address_2"] for row in rows] == ["59000 LILLE", "59000 LILLE"]
    assert [row["address_state"] for row in rows] == ["complete", "complete"]


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_of_the_table_is_a_formula(sign: str) -> None:
    """OWASP: a name from outside must not run in the accountant's spreadsheet."""
    hostile = f'{sign}HYPERLINK("http://x";"y")'
    letter = a_letter(name=hostile, payer_reference=hostile, address=(hostile, *"234567"))

    [row] = csv.DictReader(
        StringIO(table(print_run_of(DEPOSIT_ID, [letter], is_duplex=False)), newline=""),
        delimiter=";",
    )

    assert row["name"] == row["payer_reference"] == row["address_1"] == f"'{hostile}"
    assert row["address_6"] == "6, 7"


async def test_a_failure_is_told_once_and_tried_again(client: Client, post: Post) -> None:
    """The biller hears why; asking again begins anew."""
    post.binder.error = BindingError("damaged")

    failed = await client.get(PDF, headers=BILLER)

    assert failed.status == 503
    problem = await failed.json()
    assert (problem["code"], problem["reason"]) == ("print-run-failed", "damaged")
    assert post.runs.runs == {}
    assert not any(key.startswith("print-runs/") for key in post.storage.files)

    post.binder.error = None
    assert (await client.get(PDF, headers=BILLER)).status == 200


async def test_a_file_that_left_the_store_is_wanted_again(client: Client, post: Post) -> None:
    """Removed between two reads: the next request has it made."""
    await client.get(PDF, headers=BILLER)
    [key] = post.runs.runs
    del post.storage.files[key]
    post.runs.attempts.clear()

    gone = await client.get(PDF, headers=BILLER)
    again = await client.get(PDF, headers=BILLER)

    assert gone.status == 202
    assert again.status == 200


async def test_a_run_that_is_not_wanted_any_more_is_not_kept(post: Post) -> None:
    """An invoice of it was withdrawn while it was bound: no copy of it stays."""
    run = print_run_of(DEPOSIT_ID, post.runs.letters_held, is_duplex=False)
    await find_merged_file(run, patience_seconds=0, open_runs=post.runs.open, wake=lambda: None)
    claims = await post.worker.claim(1)
    post.runs.runs.clear()

    await post.worker.perform(claims)

    assert run.key not in post.storage.files
    assert post.runs.runs == {}


async def test_a_run_that_lost_a_letter_fails(post: Post) -> None:
    """A letter that is not in the store any more is not left out in silence."""
    run = print_run_of(DEPOSIT_ID, post.runs.letters_held, is_duplex=False)
    await find_merged_file(run, patience_seconds=0, open_runs=post.runs.open, wake=lambda: None)
    del post.storage.files["published/1.pdf"]

    await post.work()

    assert post.only_run == PrintRunStanding(state=PrintRunState.FAILED, failure="published/1.pdf")


async def test_a_run_that_ends_its_process_is_given_up(post: Post) -> None:
    """After three tries; until then it stays wanted, and the worker hears why."""
    run = print_run_of(DEPOSIT_ID, post.runs.letters_held, is_duplex=False)
    await find_merged_file(run, patience_seconds=0, open_runs=post.runs.open, wake=lambda: None)
    post.binder.error = BinderDiedError("killed")

    for _ in range(3):
        with pytest.raises(BinderDiedError):
            await post.work()
        assert post.only_run.state is PrintRunState.WANTED
    await post.work()

    assert post.only_run == PrintRunStanding(state=PrintRunState.FAILED, failure="resource_limit")
