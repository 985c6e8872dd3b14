"""`quittance paperless`: for whom nothing is to be printed, whole or not at all."""

import io
import json

import pytest

from tests.unit.client.conftest import Console
from tests.unit.client.stand_in import Fault, StandIn
from tests.unit.client.test_feed import FullDisk

pytestmark = pytest.mark.enable_socket

PATH = "/v1/paperless"


def a_payer(reference: str) -> dict[str, str]:
    return {"reference": reference, "since": "2026-11-24T13:05:00Z"}


class Gone(io.StringIO):
    """Its reader has left."""

    def flush(self) -> None:
        raise BrokenPipeError


def test_references_come_one_a_line(quittance: Console, doors: StandIn) -> None:
    """Every page, each asked for from where the last ended."""
    doors.paperless = [a_payer(name) for name in ("A 1", "B/2", "C&é", "D")]

    code = quittance("paperless")

    assert code == 0
    assert quittance.out == "A 1\nB/2\nC&é\nD\n"
    assert quittance.err == ""
    assert [seen.query for seen in doors.of("GET", PATH)] == [{}, {"after": "B/2"}]


def test_programs_read_json(quittance: Console, doors: StandIn) -> None:
    """A document a line, with the moment."""
    doors.paperless = [a_payer("A 1"), a_payer("B/2")]

    code = quittance("paperless", "--json")

    assert code == 0
    assert [json.loads(line) for line in quittance.out.splitlines()] == doors.paperless


def test_nobody_is_an_empty_list(quittance: Console) -> None:
    """No sentence that a program would take for a reference."""
    assert quittance("paperless") == 0
    assert quittance.out == ""


def test_a_list_that_cannot_be_read_whole_is_not_begun(quittance: Console, doors: StandIn) -> None:
    """The second page is refused: nothing was written, and the run says that it failed."""
    doors.paperless = [a_payer(name) for name in ("A", "B", "C")]
    refused = Fault(status=403, body={"code": "insufficient-scope", "detail": "Droit manquant."})
    doors.on_request = lambda seen: doors.fail("GET", PATH, refused) if seen.path == PATH else None

    code = quittance("paperless")

    assert code == 2
    assert quittance.out == ""
    assert "Droit manquant." in quittance.err


def test_an_answer_that_is_none_is_told(quittance: Console, doors: StandIn) -> None:
    """Some other page at that address is not an empty list."""
    doors.fail("GET", PATH, Fault(status=200, body={"hello": "world"}))

    assert quittance("paperless") == 2
    assert quittance.out == ""


def test_a_full_disk_is_told(quittance: Console, doors: StandIn) -> None:
    """Half a list must not pass for one."""
    doors.paperless = [a_payer("A")]

    code = quittance.run_into(FullDisk(), "paperless")

    assert code == 2
    assert quittance.err == (
        "La liste n’a pas pu être écrite en entier (No space left on device).\n"
    )


def test_a_reader_who_left_ends_the_run(quittance: Console, doors: StandIn) -> None:
    """As with every command of a pipe."""
    doors.paperless = [a_payer("A")]

    with pytest.raises(BrokenPipeError):
        quittance.run_into(Gone(), "paperless")


def test_the_door_is_found_beside_the_tokens(quittance: Console, doors: StandIn) -> None:
    """Of three addresses it is the portal's, which gives the tokens."""
    doors.paperless = [a_payer("A")]
    del quittance.environment["QUITTANCE_URL"]
    quittance.environment |= {
        "QUITTANCE_DEPOSITS_URL": "http://127.0.0.1:1",
        "QUITTANCE_COLLECTIONS_URL": "http://127.0.0.1:1",
        "QUITTANCE_TOKEN_URL": f"{doors.url}/oauth/token",
    }

    assert quittance("paperless") == 0
    assert quittance.out == "A\n"
