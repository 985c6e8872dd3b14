"""`quittance deposit`: what is sent, what is told, and the exit code."""

import csv
import json
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

from tests.unit.client.conftest import Console
from tests.unit.client.stand_in import PDF, Fault, Seen, StandIn, invoices

pytestmark = pytest.mark.enable_socket


def test_a_file_arrives_as_it_is_and_its_totals_are_told(
    quittance: Console, doors: StandIn
) -> None:
    """The body is the file byte for byte, with its length; 0 when every line was accepted."""
    content = invoices(4100, 4100)
    path = quittance.file("novembre.json", content)
    doors.reading_steps = 2

    code = quittance("deposit", str(path), "--regie", "CANTINE", "--version", "3")

    (sent,) = doors.of("POST", "/v1/deposits")
    assert code == 0
    assert sent.body == content
    assert sent.query == {"regie": "CANTINE", "version": "3"}
    assert sent.headers["content-length"] == str(len(content))
    assert sent.headers["content-type"] == "application/json"
    assert sent.headers["prefer"] == "respond-async"
    assert "transfer-encoding" not in sent.headers
    assert quittance.out == (
        "novembre.json : 2 lignes, 2 créées, 0 inchangées, 0 remplacées, 0 rejetées ; 82,00\xa0€\n"
    )


def test_every_rejected_line_is_told_and_the_code_is_1(quittance: Console, doors: StandIn) -> None:
    """Number, place and sentence of each rejected line stand in the table, over all pages."""
    doors.lines_per_page = 2
    path = quittance.file("novembre.json", invoices(4100, 0, -1, 0, 4100))

    code = quittance("deposit", str(path))

    assert code == 1
    assert "3 rejetées ; 82,00\xa0€" in quittance.out
    told = [line.split() for line in quittance.out.splitlines() if "F-" in line]
    assert [line[2] for line in told] == ["F-1", "F-2", "F-3"]
    assert told[0][:5] == [
        "1",
        "CANTINE",
        "F-1",
        "invalid_amount",
        "/invoices/1/amount_cents",
    ]
    assert "Le montant doit être supérieur à zéro." in quittance.out
    asked = doors.of("GET", "/v1/deposits/d-1/lines")
    assert [seen.query for seen in asked] == [
        {"status": "rejected"},
        {"status": "rejected", "after": "2"},
    ]


def test_a_report_holds_the_outcome_of_every_line(quittance: Console) -> None:
    """A CSV that a French spreadsheet opens: semicolons, byte order mark, one row a line."""
    path = quittance.file("novembre.json", invoices(4100, 0))
    report = quittance.folder / "report.csv"

    code = quittance("deposit", str(path), "--report", str(report))

    assert code == 1
    assert report.read_bytes().startswith(b"\xef\xbb\xbffile;deposit_id;position;")
    with report.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    assert [(row["number"], row["status"], row["code"]) for row in rows] == [
        ("F-0", "created", ""),
        ("F-1", "rejected", "invalid_amount"),
    ]
    assert rows[1]["message"] == "Le montant doit être supérieur à zéro."
    assert {row["file"] for row in rows} == {"novembre.json"}


def test_a_failed_deposit_ends_with_2_and_is_sent_anew_next_time(
    quittance: Console, doors: StandIn
) -> None:
    """Nothing of a failed deposit is kept, so the same command is another deposit afterwards."""
    doors.failure = {"code": "unreadable", "detail": "Illisible.", "pointer": "/invoices"}
    path = quittance.file("novembre.json", invoices(4100))

    code = quittance("deposit", str(path))
    told = quittance.out
    doors.failure = None
    again = quittance("deposit", str(path))

    keys = [seen.headers["idempotency-key"] for seen in doors.of("POST", "/v1/deposits")]
    assert (code, again) == (2, 0)
    assert told == (
        "novembre.json : dépôt d-1 refusé en entier (unreadable) : Illisible.\n"
        "Endroit : /invoices\n"
    )
    assert len(set(keys)) == 2


def test_a_refusal_at_the_door_shows_its_sentence_and_code(
    quittance: Console, doors: StandIn
) -> None:
    """The problem's own words are shown; the other files are deposited all the same."""
    problem = {
        "code": "unsupported-format",
        "detail": "Ce format n’est pas connu.",
        "pointer": "/",
        "trace_id": "abc",
    }
    doors.fail("POST", "/v1/deposits", Fault(status=400, body=problem))
    first = quittance.file("a.bin", b"\x00")
    second = quittance.file("b.json", invoices(100))

    code = quittance("deposit", str(first), str(second))

    assert code == 2
    assert quittance.err == (
        "Refusé (400 unsupported-format) : Ce format n’est pas connu.\n"
        "Endroit : /\n"
        "Numéro à donner à l’assistance : abc\n"
    )
    assert quittance.out.startswith("b.json : 1 lignes, 1 créées")
    assert list(doors.deposits) == ["d-1"]


def test_messages_are_in_english_where_the_machine_is(quittance: Console, doors: StandIn) -> None:
    """LANG chooses; what the door says stays as the door says it."""
    path = quittance.file("november.json", invoices(410_000))
    doors.fail("POST", "/v1/deposits", Fault(status=413, body={"code": "x", "detail": "Trop."}))

    refused = quittance("deposit", str(path), language="en_GB.UTF-8")
    told = quittance.err
    code = quittance("deposit", str(path), language="en_GB.UTF-8")

    assert (refused, code) == (2, 0)
    assert told == "Refused (413 x): Trop.\n"
    assert quittance.out == (
        "november.json: 1 lines, 1 created, 0 unchanged, 0 superseded, 0 rejected; €4,100.00\n"
    )


def test_a_dry_run_keeps_nothing_and_may_be_repeated(quittance: Console, doors: StandIn) -> None:
    """A second essay is read again, since columns or régies may have been mended meanwhile."""
    path = quittance.file("novembre.json", invoices(4100))

    codes = [quittance("deposit", str(path), "--dry-run") for _ in range(2)]

    sent = doors.of("POST", "/v1/deposits")
    assert codes == [0, 0]
    assert [seen.query for seen in sent] == [{"dry_run": "true"}] * 2
    assert sent[0].headers["idempotency-key"] != sent[1].headers["idempotency-key"]
    assert "Essai : rien n’a été gardé." in quittance.out


def test_a_held_deposit_says_what_to_do_next(quittance: Console, doors: StandIn) -> None:
    """With publish=manual nothing is published until somebody says so."""
    path = quittance.file("novembre.json", invoices(4100))

    code = quittance("deposit", str(path), "--publish", "manual")

    assert code == 0
    assert doors.of("POST", "/v1/deposits")[0].query == {"publish": "manual"}
    assert "quittance preview d-1, puis quittance release d-1" in quittance.out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--publish", "demain"), "« demain » n’est ni auto, ni manual, ni un jour AAAA-MM-JJ."),
        (("--version", "0"), "« 0 » n’est pas un nombre entier positif."),
        (("--wiht", "a.pdf"), "unrecognized arguments: --wiht a.pdf"),
    ],
)
def test_a_command_that_makes_no_sense_sends_nothing(
    arguments: tuple[str, ...], told: str, quittance: Console, doors: StandIn
) -> None:
    """What can be told before anything is sent is told then."""
    path = quittance.file("novembre.json", invoices(4100))

    code = quittance("deposit", str(path), *arguments)

    assert code == 2
    assert quittance.err.startswith(told)
    assert doors.seen == []


def test_no_wait_ends_once_the_deposit_is_received(quittance: Console, doors: StandIn) -> None:
    """The id is told; the deposit is not asked for again."""
    path = quittance.file("novembre.json", invoices(0))

    code = quittance("deposit", str(path), "--no-wait")

    assert code == 0
    assert quittance.out == "novembre.json : reçu, dépôt d-1\n"
    assert doors.of("GET", "/v1/deposits/d-1") == []


def test_a_key_of_ones_own_is_sent_as_it_is(quittance: Console, doors: StandIn) -> None:
    """Another content under the same key is refused by the door, and nothing is deposited."""
    first = quittance.file("a.json", invoices(100))
    second = quittance.file("b.json", invoices(200))

    codes = [quittance("deposit", str(path), "--key", "lot-7") for path in (first, second)]

    assert codes == [0, 2]
    assert [seen.headers["idempotency-key"] for seen in doors.of("POST", "/v1/deposits")] == [
        "lot-7",
        "lot-7",
    ]
    assert "409 idempotency-conflict" in quittance.err
    assert list(doors.deposits) == ["d-1"]


def test_an_index_goes_with_the_pdfs_it_names(quittance: Console, doors: StandIn) -> None:
    """One request of parts: `deposit`, then each PDF under its own name, streamed unchanged."""
    index = quittance.file("index.json", invoices(4100))
    pdfs = [quittance.file(f"F-{number}.pdf", PDF + bytes([number])) for number in range(2)]

    code = quittance("deposit", str(index), "--with", str(pdfs[0]), "--with", str(pdfs[1]))

    parts = _parts(doors.of("POST", "/v1/deposits")[0])
    assert code == 0
    assert [name for name, _ in parts] == ["deposit", "F-0.pdf", "F-1.pdf"]
    assert parts[0][1].get_content_type() == "application/json"
    assert [_content(part) for _, part in parts] == [invoices(4100), PDF + b"\x00", PDF + b"\x01"]


def test_a_folder_is_one_deposit(quittance: Console, doors: StandIn) -> None:
    """The one file that is no PDF is the index; hidden files stay behind."""
    folder = quittance.file("lot/index.csv", b"number;amount\n").parent
    quittance.file("lot/pdf/F-1.pdf", PDF)
    quittance.file("lot/.DS_Store", b"x")

    code = quittance("deposit", str(folder))

    parts = _parts(doors.of("POST", "/v1/deposits")[0])
    assert code == 0
    assert [(name, part.get_filename()) for name, part in parts] == [
        ("deposit", "index.csv"),
        ("pdf/F-1.pdf", "pdf/F-1.pdf"),
    ]
    assert quittance.out.startswith("lot : ")


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ((), "ne contient aucun fichier."),
        (("a.json", "b.csv"), "contient plusieurs index (a.json, b.csv)"),
    ],
)
def test_a_folder_that_is_no_deposit_is_refused(
    names: tuple[str, ...], told: str, quittance: Console, doors: StandIn
) -> None:
    """Which of two indexes is meant is not guessed."""
    folder = quittance.folder / "lot"
    folder.mkdir()
    for name in names:
        quittance.file(f"lot/{name}", b"{}")

    code = quittance("deposit", str(folder))

    assert code == 2
    assert told in quittance.err
    assert doors.seen == []


def test_machines_get_one_json_document_for_each_file(quittance: Console, doors: StandIn) -> None:
    """Standard output holds nothing else; a refusal is a document as well."""
    doors.fail("POST", "/v1/deposits", Fault(status=400, body={"code": "x", "detail": "Non."}))
    paths = [quittance.file("a.json", invoices(1)), quittance.file("b.json", invoices(0))]

    code = quittance("deposit", *map(str, paths), "--json")

    documents = [json.loads(line) for line in quittance.out.splitlines()]
    assert code == 2
    assert documents[0] == {
        "file": "a.json",
        "error": {"status": 400, "code": "x", "detail": "Non.", "pointer": ""},
    }
    assert documents[1]["file"] == "b.json"
    assert documents[1]["rejected"] == 1
    assert [line["number"] for line in documents[1]["rejected_lines"]] == ["F-0"]


def test_what_strangers_wrote_moves_no_cursor(quittance: Console) -> None:
    """A number from a file cannot speak to the terminal."""
    content = json.dumps(
        {"invoices": [{"regie": "CANTINE", "number": "F\x1b[2J[bold]", "amount_cents": 0}]}
    )
    path = quittance.file("a.json", content.encode())

    code = quittance("deposit", str(path))

    assert code == 1
    assert "F\ufffd[2J[bold]" in quittance.out
    assert "\x1b" not in quittance.out


def _parts(seen: Seen) -> list[tuple[str, Message]]:
    heading = f"Content-Type: {seen.headers['content-type']}\r\n\r\n".encode()
    message = message_from_bytes(heading + seen.body)
    payload = message.get_payload()
    assert isinstance(payload, list)
    parts = [part for part in payload if isinstance(part, Message)]
    return [(str(part.get_param("name", header="content-disposition")), part) for part in parts]


def _content(part: Message) -> bytes:
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content


def test_a_missing_file_is_told(quittance: Console, doors: StandIn, tmp_path: Path) -> None:
    """A slip of the pen sends nothing."""
    code = quittance("deposit", str(tmp_path / "none.json"))

    assert code == 2
    assert "none.json n’est pas lisible : No such file or directory" in quittance.err
    assert doors.seen == []
