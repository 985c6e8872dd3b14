"""Deposits over the real doors, with a real database and real reading processes."""

import asyncio
import io
import json
import zipfile
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from demo.samples import SAMPLES
from ingestion.handlers.release_deposit import release_due
from ingestion.handlers.take_record import RefusedDepositError, UnknownBillerError
from shared.events import InvoiceRefused
from shared.events.invoice_generated import PayerIdentity
from shared.foreign_topics import ForeignRecord
from tests.broker.depositing import NOW, Office, a_deposit, an_invoice, counter

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="module")]

PDF = (SAMPLES / "EN16931_Einfach.pdf").read_bytes()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    """Return ingestion as it runs, for the whole module."""
    async with counter(tmp_path_factory.mktemp("ingestion")) as office:
        yield office


@pytest_asyncio.fixture(loop_scope="module")
async def office(house: Office) -> Office:
    """Return ingestion without any deposit."""
    await house.empty()
    return house


async def test_a_json_deposit_is_read_and_published(office: Office) -> None:
    """The plain case: 202, done, one event, nothing left in the store."""
    status, state = await office.post(a_deposit(an_invoice("F-1"), an_invoice("F-2")))

    events = await office.events()
    assert (202, "done", "json") == (status, state["status"], state["format"])
    assert (2, 2, 0) == (state["total"], state["created"], state["rejected"])
    assert (8200, "released") == (state["amount_cents"], state["release"])
    assert ["F-1", "F-2"] == [event.number for event in events]
    assert [] == office.stored()


async def test_who_a_payer_is_goes_on_with_the_invoice(office: Office) -> None:
    """C5: as it was deposited; of most payers nothing is said."""
    identity = {"family_name": "MARTIN", "given_names": ["Camille"], "birthdate": "1984-05-00"}
    payer = {"reference": "FAM-1", "name": "Camille Martin", "identity": identity}

    await office.post(a_deposit(an_invoice("F-1", payer=payer), an_invoice("F-2")))

    first, second = [event.payer_identity for event in await office.events()]
    assert (first, second) == (
        PayerIdentity(family_name="MARTIN", given_names=("Camille",), birthdate="1984-05-00"),
        None,
    )


async def test_the_same_deposit_again_changes_nothing(office: Office) -> None:
    """A2: the same file twice gives no new event."""
    await office.post(a_deposit(an_invoice("F-1")))

    _, again = await office.post(a_deposit(an_invoice("F-1")))

    assert (0, 1) == (again["created"], again["unchanged"])
    assert 1 == len(await office.events())


async def test_a_line_that_is_wrong_costs_no_other(office: Office) -> None:
    """Each bad line has its code, pointer and sentence; its neighbours are published."""
    wrong = an_invoice("F-2", due_on="2026-02-31")
    _, state = await office.post(a_deposit(an_invoice("F-1"), wrong, an_invoice("F-3")))

    lines = await office.lines(state["deposit_id"])
    assert (2, 1) == (state["created"], state["rejected"])
    assert ("invalid_date", "/invoices/1/due_on") == (lines[1]["code"], lines[1]["pointer"])
    assert ["F-1", "F-3"] == [event.number for event in await office.events()]


async def test_what_a_line_says_of_itself_is_shown_harmlessly(office: Office) -> None:
    """A number with U+0000 or an escape sequence is refused, and can be stored and shown."""
    _, state = await office.post(a_deposit(an_invoice("F\x00\x1b[2J"), an_invoice("F-2")))

    lines = await office.lines(state["deposit_id"])
    assert ("forbidden_character", "F\ufffd\ufffd[2J") == (lines[0]["code"], lines[0]["number"])
    assert 1 == state["created"]


async def test_one_number_twice_with_other_contents_is_told_as_such(office: Office) -> None:
    """Within a deposit the clerk reads that the number stands twice, not that it is known."""
    _, state = await office.post(a_deposit(an_invoice("F-1"), an_invoice("F-1", amount_cents=1)))

    lines = await office.lines(state["deposit_id"])
    assert (1, 1) == (state["created"], state["rejected"])
    assert ("duplicate_number", "/invoices/1/number") == (lines[1]["code"], lines[1]["pointer"])


async def test_other_content_is_a_conflict_unless_its_version_is_higher(office: Office) -> None:
    """A correction says that it is one."""
    await office.post(a_deposit(an_invoice("F-1")))

    _, conflict = await office.post(a_deposit(an_invoice("F-1", amount_cents=5000)))
    _, corrected = await office.post(
        a_deposit(an_invoice("F-1", amount_cents=5000)), query={"version": "2"}
    )

    assert (1, 0) == (conflict["rejected"], conflict["created"])
    assert "conflict" == (await office.lines(conflict["deposit_id"]))[0]["code"]
    assert (1, 5000) == (corrected["superseded"], corrected["amount_cents"])
    assert [(1, 4100), (2, 5000)] == [(e.version, e.amount_cents) for e in await office.events()]


@pytest.mark.parametrize(
    ("body", "media", "status", "code"),
    [
        (b"", "application/json", 400, "no-invoices"),
        (b"not json", "application/json", 400, "malformed-json"),
        (b'{"invoices": [', "application/json", 400, "malformed-json"),
        (b'{"invoices": []}', "application/json", 400, "no-invoices"),
        (b'{\n"facture": 1}', "application/json", 400, "unknown-field"),
        (b"\x00\x01\x02\x03", "application/octet-stream", 415, "unsupported-format"),
        (b"<html/>", "text/html", 415, "unsupported-format"),
        (b"PK\x03\x04 broken", "application/zip", 400, "unreadable-zip"),
        (PDF[:40_000], "application/pdf", 400, "unreadable-pdf"),
    ],
)
async def test_what_cannot_be_read_is_told_and_leaves_nothing(
    office: Office, body: bytes, media: str, status: int, code: str
) -> None:
    """A 4xx problem with a code; no event, no line, no file, and the key is free again."""
    headers = {"Content-Type": media, "Idempotency-Key": "k"}

    answered, problem = await office.post(body, query={"regie": "CANTINE"}, headers=headers)
    again, _ = await office.post(a_deposit(an_invoice("F-1")), headers={"Idempotency-Key": "k"})

    assert (status, code) == (answered, problem["code"])
    _, failed = await office.call("GET", f"/v1/deposits/{problem['deposit_id']}")
    assert ("failed", code.replace("-", "_")) == (failed["status"], failed["problem"]["code"])
    assert 202 == again
    assert 1 == len(await office.events())
    assert [] == office.stored()


async def test_an_idempotency_key_gives_the_same_deposit(office: Office) -> None:
    """P10: the same key and content give the first result, another content 409."""
    headers = {"Idempotency-Key": "monday"}
    _, first = await office.post(a_deposit(an_invoice("F-1")), headers=headers)

    _, second = await office.post(a_deposit(an_invoice("F-1")), headers=headers)
    status, problem = await office.post(a_deposit(an_invoice("F-2")), headers=headers)

    assert first == second
    assert (409, "idempotency-key-reused") == (status, problem["code"])
    assert 1 == len(await office.events())


async def test_twenty_posts_of_one_key_make_one_deposit(office: Office) -> None:
    """P10: a hundred impatient clicks are one deposit."""
    headers = {"Idempotency-Key": "click"}

    answers = await asyncio.gather(
        *(office.post(a_deposit(an_invoice("F-1")), headers=headers) for _ in range(20))
    )

    assert {202} == {status for status, _ in answers}
    assert 1 == len({state["deposit_id"] for _, state in answers})
    assert 1 == len(await office.events())
    assert [] == office.stored()


async def test_deposits_of_one_invoice_at_one_moment_make_it_once(office: Office) -> None:
    """Two billing stations send the same file: one creates, the others find it unchanged."""
    body = a_deposit(*(an_invoice(f"F-{number}") for number in range(50)))

    answers = await asyncio.gather(*(office.post(body) for _ in range(6)))

    assert 50 == sum(state["created"] for _, state in answers)
    assert 250 == sum(state["unchanged"] for _, state in answers)
    assert 50 == len(await office.events())


async def test_a_dry_run_keeps_nothing(office: Office) -> None:
    """A3: what would happen is told, line by line; nothing happens."""
    body = a_deposit(an_invoice("F-1"), an_invoice("F-1", amount_cents=1), an_invoice("F-2"))

    _, state = await office.post(body, query={"dry_run": "true"})
    _, real = await office.post(a_deposit(an_invoice("F-1")))

    assert (True, "none") == (state["is_dry_run"], state["release"])
    assert (2, 1) == (state["created"], state["rejected"])
    assert 1 == real["created"]
    assert ["F-1"] == [event.number for event in await office.events()]


async def test_a_deposit_may_be_read_in_the_background(office: Office) -> None:
    """RFC 7240: who does not want to wait is answered at once, and looks later."""
    body = b"\n".join(json.dumps(an_invoice(f"N-{n}")).encode() for n in range(2000))

    status, state = await office.post(body, headers={"Prefer": "respond-async"})
    async with asyncio.timeout(30):
        while state["status"] == "reading":
            _, state = await office.call("GET", f"/v1/deposits/{state['deposit_id']}")
            await asyncio.sleep(0.05)

    assert 202 == status
    assert ("done", "ndjson", 2000) == (state["status"], state["format"], state["created"])
    assert state["size_bytes"] == state["read_bytes"] == len(body)
    assert 2000 == len(await office.events())


async def test_a_lone_invoice_does_not_wait_for_a_large_deposit(office: Office) -> None:
    """Small deposits have a process and places of their own."""
    large = b"\n".join(
        json.dumps(an_invoice(f"N-{n}", subject="x" * 200)).encode() for n in range(12_000)
    )
    _, begun = await office.post(io.BytesIO(large), headers={"Prefer": "respond-async"})

    _, lone = await office.post(a_deposit(an_invoice("F-1")))
    _, meanwhile = await office.call("GET", f"/v1/deposits/{begun['deposit_id']}")
    async with asyncio.timeout(60):
        while begun["status"] == "reading":
            await asyncio.sleep(0.05)
            _, begun = await office.call("GET", f"/v1/deposits/{begun['deposit_id']}")

    assert ("done", "reading") == (lone["status"], meanwhile["status"])
    assert 12_000 == begun["created"]


async def test_a_truncated_last_line_is_that_lines_fault(office: Office) -> None:
    """NDJSON cut off by the network: what was whole is taken, the rest is told."""
    whole = json.dumps(an_invoice("F-1")).encode()

    _, state = await office.post(whole + b"\n" + whole[:60])

    lines = await office.lines(state["deposit_id"])
    assert (1, 1) == (state["created"], state["rejected"])
    assert ("malformed_json", "/lines/2") == (lines[1]["code"], lines[1]["pointer"])


async def test_a_deposit_whose_reader_died_is_read_by_another(office: Office) -> None:
    """What was answered 202 is read, whoever takes it over, once."""
    form = aiohttp.FormData()
    form.add_field("deposit", a_deposit(an_invoice("F-1", pdf="a.pdf")), filename="d.json")
    form.add_field("a.pdf", PDF, filename="a.pdf", content_type="application/pdf")
    begin = office.wiring.readings.begin
    office.wiring.readings.begin = lambda *_: asyncio.create_task(asyncio.sleep(0))  # type: ignore[method-assign]
    _, state = await office.post(form)
    office.wiring.readings.begin = begin  # type: ignore[method-assign]
    assert "reading" == state["status"]

    office.clock.advance(timedelta(seconds=61))
    for deposit in await office.wiring.readings._look():
        await begin(deposit)
    _, state = await office.call("GET", f"/v1/deposits/{state['deposit_id']}")

    [event] = await office.events()
    assert ("done", 1) == (state["status"], state["created"])
    assert event.document is not None
    assert [f"{event.document.sha256}.pdf"] == office.stored()


SAMPLE_FILES = sorted(
    path
    for folder in (SAMPLES, Path("tests/samples/ubl"), Path("tests/samples/cii"))
    for path in folder.iterdir()
    if path.suffix in {".pdf", ".xml"}
)
PES = Path("tests/samples/pes/pes-ormc-3.xml").read_bytes()


@pytest.mark.parametrize(
    ("content", "is_pdf"),
    [(path.read_bytes(), path.suffix == ".pdf") for path in SAMPLE_FILES],
    ids=[path.name for path in SAMPLE_FILES],
)
async def test_every_real_invoice_goes_in(office: Office, content: bytes, is_pdf: bool) -> None:
    """Official examples as PDF, CII and UBL: one line each, created, and found by content."""
    status, state = await office.post(content, query={"regie": "MUSIQUE"})

    assert (202, 1, 0) == (status, state["created"], state["rejected"])
    [event] = await office.events()
    assert ("MUSIQUE", is_pdf) == (event.regie, event.document is not None)


async def test_a_real_pes_file_goes_in(office: Office) -> None:
    """An ORMC of three pieces for the treasury, as its billing application wrote it."""
    _, state = await office.post(PES, query={"regie": "EAU"})
    _, again = await office.post(PES, query={"regie": "EAU"})

    events = await office.events()
    assert ("pes", 3, 0) == (state["format"], state["created"], state["rejected"])
    assert 3 == again["unchanged"]
    assert ["treasury"] * 3 == [event.route for event in events]
    assert all(event.debt_reference and event.fiscal_year for event in events)


async def test_a_clerks_table_goes_in_and_its_columns_are_remembered(office: Office) -> None:
    """CSV as a French spreadsheet writes it; the mapping that worked is kept for the régie."""
    table = (
        "N° facture;Date;Échéance;Net à payer;Objet;Code famille;Nom;Courriel\r\n"
        "A-1;01/11/2026;01/12/2026;41,00 €;Cantine;FAM-1;Martin Camille;c@example.org\r\n"
        "A-2;01/11/2026;31/02/2026;1 041,50;Cantine;FAM-2;Durand Zoé;\r\n"
    ).encode("cp1252")

    _, state = await office.post(table, query={"regie": "CANTINE"})
    _, kept = await office.call("GET", "/v1/regies/CANTINE/mapping")

    lines = await office.lines(state["deposit_id"])
    assert ("csv", 1, 1) == (state["format"], state["created"], state["rejected"])
    assert "/rows/3/Échéance" == lines[1]["pointer"]
    assert "N° facture" == state["mapping"]["number"] == kept["mapping"]["number"]
    assert [4100] == [event.amount_cents for event in await office.events()]


class TestHeld:
    """A7: a deposit may be looked at before it is published."""

    async def test_is_published_when_it_is_released(self, office: Office) -> None:
        """Totals and five drawn lines first; then all of it at once."""
        body = a_deposit(*(an_invoice(f"F-{n}") for n in range(8)))
        _, state = await office.post(body, query={"publish": "manual"})
        base = f"/v1/deposits/{state['deposit_id']}"
        assert ("held", []) == (state["release"], await office.events())

        _, preview = await office.call("GET", f"{base}/preview")
        _, released = await office.call("POST", f"{base}/release")
        status, again = await office.call("POST", f"{base}/release")

        assert [{"regie": "CANTINE", "count": 8, "amount_cents": 32_800}] == preview["totals"]
        assert 5 == len({line["invoice"]["number"] for line in preview["lines"]})
        assert "released" == released["release"]
        assert (409, "illegal-move") == (status, again["code"])
        assert 8 == len(await office.events())

    async def test_is_as_if_it_had_never_come_when_cancelled(self, office: Office) -> None:
        """New invoices are unknown again, corrected ones are what they were before."""
        await office.post(a_deposit(an_invoice("OLD")))
        new = [an_invoice("OLD", amount_cents=9000, version=2), an_invoice("NEW"),
               an_invoice("NEW", amount_cents=1, version=2)]  # fmt: skip
        _, state = await office.post(a_deposit(*new), query={"publish": "manual"})

        _, cancelled = await office.call("POST", f"/v1/deposits/{state['deposit_id']}/cancel")
        _, again = await office.post(a_deposit(an_invoice("OLD"), an_invoice("NEW")))

        assert "cancelled" == cancelled["release"]
        assert (1, 1) == (again["unchanged"], again["created"])
        assert [("OLD", 1), ("NEW", 1)] == [(e.number, e.version) for e in await office.events()]

    async def test_leaves_out_what_was_replaced_meanwhile(self, office: Office) -> None:
        """A later deposit is the newer word."""
        _, held = await office.post(
            a_deposit(an_invoice("A"), an_invoice("B")), query={"publish": "manual"}
        )
        await office.post(a_deposit(an_invoice("A", amount_cents=1, version=2)))

        await office.call("POST", f"/v1/deposits/{held['deposit_id']}/release")

        assert [("A", 2), ("B", 1)] == [(e.number, e.version) for e in await office.events()]

    async def test_is_published_when_its_day_comes(self, office: Office) -> None:
        """At midnight in France, by whichever replica looks first."""
        _, state = await office.post(a_deposit(an_invoice("F-1")), query={"publish": "2026-11-26"})
        stopping = asyncio.Event()
        stopping.set()
        office.clock.instant = office.clock.instant.replace(day=25, hour=22, minute=59)
        await _look_once(office)
        before = await office.events()

        office.clock.advance(timedelta(minutes=2))
        await _look_once(office)

        _, after = await office.call("GET", f"/v1/deposits/{state['deposit_id']}")
        assert ([], 1) == (before, len(await office.events()))
        assert ("2026-11-26", "released") == (after["publish"], after["release"])


async def _look_once(office: Office) -> None:
    await release_due(office.wiring.open_unit, office.clock)


def a_zip(*members: tuple[str, bytes]) -> bytes:
    """Return an archive of these files."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return target.getvalue()


async def test_a_document_refused_later_rejects_its_line_after_all(office: Office) -> None:
    """Publication looks closer: totals and line follow, and the same may be sent again."""
    body = a_deposit(an_invoice("F-1"), an_invoice("F-2"))
    _, state = await office.post(body)
    refused = (await office.events())[1]
    refusal = InvoiceRefused(
        invoice_id=refused.invoice_id,
        version=1,
        deposit_id=refused.deposit_id,
        authority=refused.authority,
        regie=refused.regie,
        number=refused.number,
        code="active_content",
        detail="Le PDF contient du code.",
        refused_at=NOW,
    )

    for _ in range(2):
        async with office.wiring.open_unit() as unit:
            await unit.deposits.refuse([refusal])
    _, after = await office.call("GET", f"/v1/deposits/{state['deposit_id']}")
    lines = await office.lines(state["deposit_id"])
    _, again = await office.post(body)

    assert (1, 1, 4100) == (after["created"], after["rejected"], after["amount_cents"])
    assert [None, "active_content"] == [line.get("code") for line in lines]
    assert (1, 1) == (again["unchanged"], again["created"])


class TestArchive:
    """A5: a ZIP of an index and the PDFs it names."""

    async def test_gives_each_line_its_file(self, office: Office) -> None:
        """Named by path or by file name; a file missing or wrong costs its line only."""
        index = a_deposit(
            an_invoice("F-1", pdf="pdf/one.pdf"),
            an_invoice("F-2", pdf="TWO.PDF"),
            an_invoice("F-3", pdf="three.pdf"),
            an_invoice("F-4", pdf="four.pdf"),
            an_invoice("F-5"),
        )
        other = PDF + b"\n"
        body = a_zip(
            ("index.json", index),
            ("pdf/one.pdf", PDF),
            ("deep/er/two.pdf", other),
            ("four.pdf", b"no pdf"),
            ("__MACOSX/._one.pdf", b"clutter"),
        )

        _, state = await office.post(body)

        codes = [line.get("code") for line in await office.lines(state["deposit_id"])]
        sizes = [e.document and e.document.size_bytes for e in await office.events()]
        assert "zip" == state["format"]
        assert [None, None, "missing_document", "not_a_pdf", None] == codes
        assert [len(PDF), len(other), None] == sizes
        assert 2 == len(office.stored())

    async def test_of_facturx_files_needs_no_index(self, office: Office) -> None:
        """Each PDF is read from the XML that it carries; a plain one is refused alone."""
        body = a_zip(
            ("a.pdf", PDF),
            ("b.pdf", (SAMPLES / "FNFE_Facture_FR_EN16931.pdf").read_bytes()),
            ("c.pdf", b"%PDF-1.4 nothing"),
        )

        _, state = await office.post(body, query={"regie": "MUSIQUE"})

        lines = await office.lines(state["deposit_id"])
        assert (2, 1) == (state["created"], state["rejected"])
        assert "/c.pdf" == lines[2]["pointer"]

    @pytest.mark.parametrize(
        ("members", "code"),
        [
            ((("a.json", b"{}"), ("b.json", b"{}")), "several-indexes"),
            ((("a.json", b"0" * 20_000_000),), "zip-bomb"),
            ((("inner.zip", a_zip(("a.json", b"{}"))),), "nested-zip"),
            ((), "no-invoices"),
        ],
    )
    async def test_that_is_no_deposit_is_refused(
        self, office: Office, members: tuple[tuple[str, bytes], ...], code: str
    ) -> None:
        """Whole, with its reason, and nothing is kept."""
        status, problem = await office.post(a_zip(*members))

        assert code == problem["code"]
        assert status in (400, 413)
        assert ([], []) == (await office.events(), office.stored())

    async def test_cannot_name_a_path_outside(self, office: Office) -> None:
        """Zip slip: names are compared and never used as paths."""
        index = a_deposit(an_invoice("F-1", pdf="../../etc/passwd.pdf"))
        body = a_zip(("i.json", index), ("../../etc/passwd.pdf", PDF))

        _, state = await office.post(body)

        [event] = await office.events()
        assert 1 == state["created"]
        assert event.document is not None
        assert [f"{event.document.sha256}.pdf"] == office.stored()


async def test_another_town_and_another_biller_see_nothing(office: Office) -> None:
    """S1: the deposit, its lines and its preview are 404 to who may not see them."""
    _, state = await office.post(a_deposit(an_invoice("F-1")), query={"publish": "manual"})
    base = f"/v1/deposits/{state['deposit_id']}"

    for token in ("stranger", "canteen"):
        for method, path in (
            ("GET", base),
            ("GET", f"{base}/lines"),
            ("GET", f"{base}/preview"),
            ("POST", f"{base}/release"),
            ("POST", f"{base}/cancel"),
            ("GET", f"{base}/print-run.pdf"),
        ):
            status, problem = await office.call(method, path, token=token)
            assert (404, "unknown-deposit") == (status, problem["code"]), path
    assert [] == await office.events()


async def test_a_regie_that_the_token_does_not_cover_is_refused(office: Office) -> None:
    """A biller of one régie deposits for no other."""
    _, state = await office.post(a_deposit(an_invoice("F-1", regie="MUSIQUE")), token="canteen")

    _, page = await office.call("GET", f"/v1/deposits/{state['deposit_id']}/lines", token="canteen")
    assert "regie_not_allowed" == page["lines"][0]["code"]
    assert [] == await office.events()


async def test_the_columns_of_a_regie_are_set_and_shown(office: Office) -> None:
    """A3: a mapping is remembered; a field that does not exist is told."""
    path = "/v1/regies/CANTINE/mapping"

    status, kept = await office.call("PUT", path, body={"mapping": {"number": "Réf."}})
    _, shown = await office.call("GET", path)
    refused, problem = await office.call("PUT", path, body={"mapping": {"nombre": "Réf."}})
    hidden, _ = await office.call("GET", path, token="stranger")

    assert (200, {"mapping": {"number": "Réf."}}) == (status, kept)
    assert kept == shown
    assert (422, "unknown-field") == (refused, problem["code"])
    assert 200 == hidden


class TestOnATopic:
    """A biller that speaks Kafka deposits on a topic of its own."""

    async def test_is_taken_for_the_client_that_the_topic_names(self, office: Office) -> None:
        """Once, also when the topic is read again from its beginning."""
        record = a_record(a_deposit(an_invoice("F-1"), an_invoice("F-2", regie="MUSIQUE")))

        await office.wiring.take_record(record)
        await office.wiring.take_record(record)

        [event] = await office.events()
        assert ("saint-aubin", "F-1") == (event.authority, event.number)

    async def test_is_refused_with_its_reason(self, office: Office) -> None:
        """An unknown client, or what is no deposit, goes to the dead letters; nothing is kept."""
        with pytest.raises(RefusedDepositError, match="malformed_json"):
            await office.wiring.take_record(a_record(b'{"invoices": ['))
        with pytest.raises(UnknownBillerError):
            await office.wiring.take_record(
                a_record(a_deposit(an_invoice()), topic="biller.deposited.nobody")
            )

        assert ([], []) == (await office.events(), office.stored())


def a_record(value: bytes, topic: str = "biller.deposited.canteen-office") -> ForeignRecord:
    """Return a record as the consumer hands it over."""
    return ForeignRecord(topic=topic, partition=0, offset=7, value=value, headers=())
