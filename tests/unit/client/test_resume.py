"""Whatever interrupts a deposit, the same command goes on, and the content is deposited once."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from quittance_client.body import from_path
from quittance_client.errors import SettingsError
from tests.unit.client.conftest import Console, a_console
from tests.unit.client.stand_in import PDF, Fault, Seen, StandIn, invoices

pytestmark = pytest.mark.enable_socket

KILLED = -9


def keys(doors: StandIn) -> list[str]:
    return [seen.headers["idempotency-key"] for seen in doors.of("POST", "/v1/deposits")]


def test_a_connection_cut_during_the_upload_is_tried_again_under_the_same_key(
    quittance: Console, doors: StandIn
) -> None:
    """The whole file is sent again, after a wait, and becomes one deposit."""
    content = PDF * 20
    path = quittance.file("lot.pdf", content)
    doors.fail("POST", "/v1/deposits", Fault(cut_after_bytes=1000), Fault(cut_after_bytes=65_536))

    code = quittance("deposit", str(path))

    assert code == 0
    assert [seen.body for seen in doors.of("POST", "/v1/deposits")] == [content]
    assert list(doors.deposits) == ["d-1"]
    assert quittance.waits[:2] == [0.5, 1.0]


def test_a_deposit_whose_answer_was_lost_is_found_again(quittance: Console, doors: StandIn) -> None:
    """The door took it and the answer did not arrive: the key makes the repetition harmless."""
    path = quittance.file("a.json", invoices(4100))
    lost = Fault(cut_after_bytes=0, is_done_before_cut=True)
    doors.fail("POST", "/v1/deposits", lost)

    code = quittance("deposit", str(path))

    assert code == 0
    assert len(keys(doors)) == 2
    assert len(set(keys(doors))) == 1
    assert list(doors.deposits) == ["d-1"]


@pytest.mark.parametrize(
    ("retry_after", "shortest"), [("7", 7.0), ("Tue, 24 Nov 2026 12:00:09 GMT", 9.0)]
)
def test_a_busy_door_is_given_the_time_it_asks_for(
    retry_after: str, shortest: float, quittance: Console, doors: StandIn
) -> None:
    """Retry-After comes in seconds or as a date (RFC 9110, 10.2.3); never sooner, and bounded."""
    path = quittance.file("a.json", invoices(4100))
    doors.fail("POST", "/v1/deposits", Fault(status=503, headers={"Retry-After": retry_after}))

    code = quittance("deposit", str(path))

    assert code == 0
    assert shortest <= quittance.waits[0] <= shortest * 1.25
    assert "Nouvel essai dans" in quittance.err
    assert list(doors.deposits) == ["d-1"]


def test_a_door_that_stays_busy_is_given_up_and_the_next_run_goes_on(
    quittance: Console, doors: StandIn
) -> None:
    """Eight tries at most; then code 2, a sentence, and the same key next time."""
    path = quittance.file("a.json", invoices(4100))
    doors.fail("POST", "/v1/deposits", *[Fault(status=503)] * 8)

    code = quittance("deposit", str(path))
    told = quittance.err.splitlines()[-1]
    waits = list(quittance.waits)
    busy = [seen.headers["Idempotency-Key"] for seen in doors.of("POST", "/v1/deposits")]
    again = quittance("deposit", str(path))

    assert (code, again) == (2, 0)
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0]
    assert told == (
        "127.0.0.1 demande d’attendre (503) et 8 essais n’ont pas suffi."
        " Relancez la même commande plus tard pour reprendre."
    )
    taken = doors.of("POST", "/v1/deposits")[-1].headers["idempotency-key"]
    assert {*busy, taken} == {taken}


def test_a_door_that_asks_for_an_hour_is_not_waited_for(quittance: Console, doors: StandIn) -> None:
    """The command says when to come back instead of hanging."""
    path = quittance.file("a.json", invoices(4100))
    doors.fail("POST", "/v1/deposits", Fault(status=429, headers={"Retry-After": "3600"}))

    code = quittance("deposit", str(path))

    assert code == 2
    assert quittance.waits == []
    assert "demande d’attendre 3600 s" in quittance.err


def test_a_token_that_expires_in_the_middle_is_renewed(quittance: Console, doors: StandIn) -> None:
    """401 on the way costs one more token and nothing else."""
    path = quittance.file("a.json", invoices(4100))
    doors.reading_steps = 3
    asked: list[Seen] = []

    def expire_once(seen: Seen) -> None:
        if seen.path == "/v1/deposits/d-1":
            asked.append(seen)
            if len(asked) == 2:
                doors.revoke_tokens()

    doors.on_request = expire_once

    code = quittance("deposit", str(path))

    assert code == 0
    assert doors.tokens == 2
    assert list(doors.deposits) == ["d-1"]


def test_a_token_is_renewed_before_it_expires(quittance: Console, doors: StandIn) -> None:
    """What is about to end is not used for a long upload."""
    path = quittance.file("a.json", invoices(4100))
    doors.lifetime_seconds = 31
    doors.reading_steps = 6

    code = quittance("deposit", str(path))

    used = [seen.headers["authorization"] for seen in doors.of("GET", "/v1/deposits/d-1")]
    assert code == 0
    # A token of 31 s is used for one: the waits go 0.25, 0.5 and then a second and more each.
    assert quittance.waits == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0]
    assert used == [f"Bearer token-{number}" for number in (1, 1, 1, 2, 3, 4, 5)]


def test_a_connection_cut_while_following_is_tried_again(
    quittance: Console, doors: StandIn
) -> None:
    """Following asks again; nothing is deposited twice."""
    path = quittance.file("a.json", invoices(4100, 0))
    doors.fail("GET", "/v1/deposits/d-1", Fault(cut_after_bytes=0), Fault(status=502))
    doors.fail("GET", "/v1/deposits/d-1/lines", Fault(cut_after_bytes=0))

    code = quittance("deposit", str(path))

    assert code == 1
    assert len(keys(doors)) == 1
    assert "F-1" in quittance.out


def test_an_interrupted_run_is_followed_by_the_next(quittance: Console, doors: StandIn) -> None:
    """Ctrl-C while reading ends with 130; the same command then follows and sends nothing."""
    path = quittance.file("a.json", invoices(4100))
    doors.reading_steps = 5

    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    quittance.on_wait = interrupt
    interrupted = quittance("deposit", str(path))
    told = quittance.err
    quittance.on_wait = lambda _seconds: None
    code = quittance("deposit", str(path))

    assert (interrupted, code) == (130, 0)
    assert told.splitlines()[-1] == "Interrompu. Relancez la même commande pour reprendre."
    assert len(keys(doors)) == 1
    assert "a.json est déjà déposé (d-1) : suivi du dépôt." in quittance.err


def test_a_finished_deposit_is_shown_again_and_sent_anew_only_if_asked(
    quittance: Console, doors: StandIn
) -> None:
    """--again is for what was mended on the other side; it has a key of its own."""
    path = quittance.file("a.json", invoices(4100))

    codes = [quittance("deposit", str(path)) for _ in range(2)]
    before = len(keys(doors))
    anew = quittance("deposit", str(path), "--again")

    assert [*codes, anew] == [0, 0, 0]
    assert before == 1
    assert len(set(keys(doors))) == 2


def test_an_interrupted_run_anew_goes_on_under_its_own_key(
    quittance: Console, doors: StandIn
) -> None:
    """What --again began, the next run ends without it: one more deposit, not none and not two."""
    path = quittance.file("a.json", invoices(4100))
    quittance("deposit", str(path))
    doors.fail("POST", "/v1/deposits", *[Fault(cut_after_bytes=0, is_done_before_cut=True)] * 8)

    interrupted = quittance("deposit", str(path), "--again")
    code = quittance("deposit", str(path))

    first, *anew = keys(doors)
    assert (interrupted, code) == (2, 0)
    assert len(anew) == 9
    assert len({first, *anew}) == 2
    assert list(doors.deposits) == ["d-1", "d-2"]


def test_other_parameters_are_another_deposit(quittance: Console, doors: StandIn) -> None:
    """The key comes from content and parameters, not from the file's name."""
    path = quittance.file("a.json", invoices(4100))
    renamed = quittance.file("b.json", invoices(4100))

    quittance("deposit", str(path), "--no-wait")
    quittance("deposit", str(renamed), "--no-wait")
    quittance("deposit", str(path), "--no-wait", "--regie", "CANTINE")

    assert len(set(keys(doors))) == 2
    assert list(doors.deposits) == ["d-1", "d-2"]


def test_a_deposit_that_the_door_forgot_is_sent_again(quittance: Console, doors: StandIn) -> None:
    """404 for a remembered id: the content goes once more, under the same key."""
    path = quittance.file("a.json", invoices(4100))
    quittance("deposit", str(path))
    doors.deposits.clear()
    doors.keys.clear()

    code = quittance("deposit", str(path))

    assert code == 0
    assert len(keys(doors)) == 2
    assert len(set(keys(doors))) == 1


@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b'{"attempt": "x", "deposit_id": 3}'])
def test_a_damaged_state_costs_a_repetition_and_no_more(
    damage: bytes, quittance: Console, doors: StandIn
) -> None:
    """The key is derived again, so the door knows the deposit."""
    path = quittance.file("a.json", invoices(4100))
    quittance("deposit", str(path))
    (record,) = (quittance.folder / "state").glob("deposit-*.json")
    record.write_bytes(damage)

    code = quittance("deposit", str(path))

    assert code == 0
    assert len(set(keys(doors))) == 1
    assert list(doors.deposits) == ["d-1"]


def test_the_state_is_private_and_holds_no_secret(quittance: Console, doors: StandIn) -> None:
    """What lies on the disk is readable by its owner, and is no secret or token anyway."""
    path = quittance.file("a.json", invoices(4100))

    quittance("deposit", str(path))

    folder = quittance.folder / "state"
    (record,) = folder.glob("deposit-*.json")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert record.stat().st_mode & 0o777 == 0o600
    assert set(json.loads(record.read_bytes())) == {"fingerprint", "attempt", "deposit_id"}
    everything = b"".join(found.read_bytes() for found in folder.iterdir())
    assert b"token-" not in everything
    assert b"s3cret" not in everything


def test_two_runs_at_once_send_the_content_once(
    quittance: Console, doors: StandIn, tmp_path: Path
) -> None:
    """The second waits until the first knows the deposit, and then follows it."""
    path = quittance.file("a.json", invoices(4100))
    consoles = [a_console(tmp_path, doors.environment()) for _ in range(4)]
    codes: list[int] = []
    threads = [
        threading.Thread(target=lambda run: codes.append(run("deposit", str(path))), args=[run])
        for run in consoles
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert codes == [0, 0, 0, 0]
    assert len(keys(doors)) == 1
    assert sum("déjà déposé" in console.err for console in consoles) == 3


def test_a_process_killed_during_the_upload_goes_on_in_the_next(
    quittance: Console, doors: StandIn
) -> None:
    """SIGKILL leaves no time to tidy up: lock, key and all survive it."""
    path = quittance.file("lot.pdf", PDF * 50)
    doors.holds_uploads = True
    with subprocess.Popen(
        [sys.executable, "-m", "quittance_client", "deposit", str(path)],
        env={**os.environ, **quittance.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as killed:
        has_begun = doors.is_stuck.wait(20)
        killed.kill()
        output, _ = killed.communicate(timeout=20)
    doors.holds_uploads = False

    code = quittance("deposit", str(path))

    assert has_begun
    assert (killed.returncode, output) == (KILLED, b"")
    assert code == 0
    assert len(keys(doors)) == 2
    assert len(set(keys(doors))) == 1
    assert list(doors.deposits) == ["d-1"]


def test_a_file_that_changes_while_it_is_sent_is_not_deposited(tmp_path: Path) -> None:
    """The last bytes stay back unless the file is still what its key says."""
    path = tmp_path / "a.csv"
    path.write_bytes(b"a" * 600_000)
    body = from_path(path)
    path.write_bytes(b"b" * 600_000)
    sent = bytearray()

    with pytest.raises(SettingsError) as refusal:
        sent.extend(b"".join(body.chunks(lambda _gone: None)))

    assert refusal.value.slug == "file-changed"
    assert sent == b""


@pytest.mark.parametrize("size", [0, 1, 262_144, 262_145, 600_000])
def test_the_bytes_sent_are_those_promised(size: int, tmp_path: Path) -> None:
    """Content-Length is the sum of the chunks, whatever the size; progress ends at it."""
    path = tmp_path / "a.csv"
    path.write_bytes(os.urandom(size))
    body = from_path(path)
    gone: list[int] = []

    sent = b"".join(body.chunks(gone.append))

    assert sent == path.read_bytes()
    assert (body.size, gone[-1]) == (size, size)


def test_a_deposit_that_stands_still_is_not_followed_for_ever(
    quittance: Console, doors: StandIn
) -> None:
    """After an hour without a move the command ends with 2; the next run follows again."""
    path = quittance.file("a.json", invoices(4100))
    doors.reading_steps = 10_000

    code = quittance("deposit", str(path))

    assert code == 2
    assert "d-1 n’avance pas depuis 3600 s" in quittance.err
    assert 3600 < sum(quittance.waits) < 3620
    assert max(quittance.waits) == 5.0
