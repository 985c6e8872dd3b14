"""`print`, `print-run`, `preview`: files come whole, once they are made, or not at all."""

import json

import pytest

from tests.unit.client.conftest import Console
from tests.unit.client.stand_in import PDF, Fault, StandIn, invoices

pytestmark = pytest.mark.enable_socket

NOT_READY = Fault(status=409, body={"code": "not-ready", "detail": "Pas encore."})
RUN = "/v1/deposits/d-1/print-run.pdf"


def test_the_pdf_of_an_invoice_is_written(quittance: Console) -> None:
    """Byte for byte; the path is told."""
    target = quittance.folder / "F-1.pdf"

    code = quittance("print", "i-1", "-o", str(target))

    assert code == 0
    assert target.read_bytes() == PDF
    assert quittance.out == f"Écrit : {target}\n"


def test_a_print_run_is_waited_for_while_it_is_being_made(
    quittance: Console, doors: StandIn
) -> None:
    """409 `not-ready` while invoices are being made, 202 while the file is; then both files."""
    doors.fail("GET", RUN, NOT_READY, NOT_READY, Fault(status=202))
    target, index = quittance.folder / "run.pdf", quittance.folder / "run.csv"

    code = quittance(
        "print-run", "d-1", "-o", str(target), "--index", str(index), "--duplex", "--json"
    )

    assert code == 0
    assert {tuple(seen.query.items()) for seen in doors.seen if "print-run" in seen.path} == {
        (("duplex", "true"),)
    }
    assert target.read_bytes() == PDF
    assert index.read_text() == "index of /v1/deposits/d-1/print-run.csv"
    assert quittance.waits == [1.0, 2.0, 4.0]
    assert [json.loads(line)["path"] for line in quittance.out.splitlines()] == [
        str(target),
        str(index),
    ]


def test_a_print_run_that_never_comes_is_given_up(quittance: Console, doors: StandIn) -> None:
    """After an hour, with code 2 and no file."""
    doors.fail("GET", RUN, *[NOT_READY] * 300)
    target = quittance.folder / "run.pdf"

    code = quittance("print-run", "d-1", "-o", str(target))

    assert code == 2
    assert 3600 <= sum(quittance.waits) < 3620
    assert list(quittance.folder.glob("*run.pdf*")) == []


def test_another_conflict_is_a_refusal(quittance: Console, doors: StandIn) -> None:
    """Only `not-ready` is worth waiting for; the file that was there stays."""
    doors.fail("GET", RUN, Fault(status=409, body={"code": "cancelled", "detail": "Annulé."}))
    target = quittance.file("run.pdf", b"of yesterday")

    code = quittance("print-run", "d-1", "-o", str(target))

    assert code == 2
    assert quittance.err == "Refusé (409 cancelled) : Annulé.\n"
    assert target.read_bytes() == b"of yesterday"
    assert quittance.waits == []


def test_a_download_that_breaks_begins_anew(quittance: Console, doors: StandIn) -> None:
    """No half of a file is ever in place."""
    target = quittance.folder / "F-1.pdf"
    doors.cut_downloads = 2

    code = quittance("print", "i-1", "-o", str(target))

    assert code == 0
    assert target.read_bytes() == PDF
    assert quittance.waits == [0.5, 1.0]
    assert [path.name for path in quittance.folder.glob("*.pdf*")] == ["F-1.pdf"]


def test_an_unwritable_place_is_told(quittance: Console) -> None:
    """The folder has to exist."""
    target = quittance.folder / "none" / "F-1.pdf"

    code = quittance("print", "i-1", "-o", str(target))

    assert code == 2
    assert quittance.err == f"{target} ne peut pas être écrit : No such file or directory\n"


def test_an_index_is_json_or_csv(quittance: Console, doors: StandIn) -> None:
    """Its name says which; nothing is fetched for another one."""
    code = quittance("print-run", "d-1", "-o", "run.pdf", "--index", "run.xml")

    assert code == 2
    assert quittance.err == "L’index se termine par .json ou .csv, pas « run.xml ».\n"
    assert doors.seen == []


def test_a_held_deposit_is_looked_at_and_released(quittance: Console, doors: StandIn) -> None:
    """Preview, one line as PDF, then the decision."""
    path = quittance.file("a.json", invoices(4100, 4100))
    quittance("deposit", str(path), "--publish", "manual")
    target = quittance.folder / "line.pdf"

    previewed = quittance("preview", "d-1")
    told = quittance.out
    fetched = quittance("preview", "d-1", "--position", "0", "-o", str(target))
    released = quittance("release", "d-1")

    assert (previewed, fetched, released) == (0, 0, 0)
    assert ["CANTINE", "2", "82,00", "€"] in [line.split() for line in told.splitlines()]
    assert ["1", "CANTINE", "F-1", "41,00", "€", "C.", "Martin"] in [
        line.split() for line in told.splitlines()
    ]
    assert target.read_bytes() == PDF
    assert doors.deposits["d-1"]["release"] == "released"
    assert quittance.out == "Fait.\n"


def test_a_held_deposit_may_be_dropped_and_sent_anew(quittance: Console, doors: StandIn) -> None:
    """A cancelled deposit leaves nothing; the next run sees that, and the one after sends again."""
    path = quittance.file("a.json", invoices(4100))
    quittance("deposit", str(path), "--publish", "manual")
    quittance("cancel", "d-1")

    seen = quittance("deposit", str(path), "--publish", "manual")
    told = quittance.out
    again = quittance("deposit", str(path), "--publish", "manual")

    assert (seen, again) == (0, 0)
    assert "Ce dépôt a été annulé." in told
    assert list(doors.deposits) == ["d-1", "d-2"]


def test_a_position_needs_a_file(quittance: Console, doors: StandIn) -> None:
    """And a file a position."""
    code = quittance("preview", "d-1", "--position", "0")

    assert code == 2
    assert quittance.err == "--position et -o vont ensemble.\n"
    assert doors.seen == []


def test_lines_and_status_are_shown(quittance: Console) -> None:
    """All outcomes or those of one status; the exit code of `status` says whether some failed."""
    path = quittance.file("a.json", invoices(4100, 0))
    quittance("deposit", str(path))

    status = quittance("status", "d-1", "--json")
    deposit = json.loads(quittance.out)
    quittance("lines", "d-1", "--status", "created")
    created = quittance.out
    quittance("lines", "d-1", "--json")
    lines = [json.loads(line) for line in quittance.out.splitlines()]
    quittance("lines", "d-1", "--status", "superseded")

    assert status == 1
    assert (deposit["deposit_id"], deposit["rejected"]) == ("d-1", 1)
    assert "F-0" in created
    assert "F-1" not in created
    assert [line["status"] for line in lines] == ["created", "rejected"]
    assert quittance.out == "Rien.\n"
