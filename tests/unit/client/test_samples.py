"""What the documentation gives billers to copy: it stands in the page as it runs, and it runs."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.client.stand_in import Fault, StandIn, an_item, invoices

DOCUMENTS = Path(__file__).resolve().parents[3] / "docs"
SAMPLES = DOCUMENTS / "samples"

# The vector of the Standard Webhooks reference libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
MOMENT = 1_614_265_330
HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": str(MOMENT),
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}

Check = Callable[[dict[str, str], bytes, str, float], bool]


def test_the_page_shows_the_samples_as_they_run() -> None:
    """Each block that names a file is that file."""
    page = (DOCUMENTS / "billers-sample.md").read_text("utf-8")

    shown = dict(re.findall(r"\[`(biller\.\w+)`\]\(.*?\n```\w+\n(.*?)```", page, re.DOTALL))

    assert shown == {
        path.name: path.read_text("utf-8") for path in SAMPLES.iterdir() if path.is_file()
    }


@pytest.mark.enable_socket
@pytest.mark.parametrize("program", [[sys.executable, "biller.py"], ["bash", "biller.sh"]])
def test_a_sample_deposits_follows_and_reads_the_feed(
    program: list[str], doors: StandIn, tmp_path: Path
) -> None:
    """Against the doors: one deposit, its rejected line told, every payment once and in order."""
    assert shutil.which(program[0]), f"{program[0]} is needed"
    for path in SAMPLES.iterdir():
        shutil.copy(path, tmp_path)
    doors.secret = SECRET
    content = invoices(4100, 0)
    (tmp_path / "invoices.json").write_bytes(content)
    doors.items = [an_item(1), an_item(2)]

    output = _run(program, doors, tmp_path)
    doors.items.append(an_item(3))
    again = _run(program, doors, tmp_path)

    sent = doors.of("POST", "/v1/deposits")
    assert [seen.body for seen in sent] == [content, content]
    assert len({seen.headers["idempotency-key"] for seen in sent}) == 1
    assert list(doors.deposits) == ["d-1"]
    assert "F-1" in output
    assert "Le montant doit être supérieur à zéro." in _unescaped(output)
    assert re.findall(r"e-\d", output) == ["e-1", "e-2"]
    assert re.findall(r"e-\d", again) == ["e-3"]
    assert (tmp_path / "cursor.txt").read_text().strip() == "3"


@pytest.mark.enable_socket
@pytest.mark.parametrize("program", [[sys.executable, "biller.py"], ["bash", "biller.sh"]])
def test_a_sample_fails_loudly_when_it_is_refused(
    program: list[str], doors: StandIn, tmp_path: Path
) -> None:
    """No cursor moves, and the exit code tells."""
    for path in SAMPLES.iterdir():
        shutil.copy(path, tmp_path)
    doors.secret = SECRET
    (tmp_path / "invoices.json").write_bytes(invoices(4100))
    doors.fail("POST", "/v1/deposits", Fault(status=400, body={"code": "x", "detail": "Non."}))

    with pytest.raises(subprocess.CalledProcessError):
        _run(program, doors, tmp_path)

    assert doors.deposits == {}
    assert not (tmp_path / "cursor.txt").exists()


def test_the_sample_knows_a_genuine_webhook(is_genuine: Check) -> None:
    """The published vector, alone or beside another signature, within five minutes."""
    both = HEADERS | {"webhook-signature": "v1,b3RoZXI= " + HEADERS["webhook-signature"]}

    assert is_genuine(HEADERS, BODY, SECRET, MOMENT + 299)
    assert is_genuine(both, BODY, SECRET, MOMENT)


@pytest.mark.parametrize(
    ("headers", "body", "now"),
    [
        ({}, BODY + b" ", MOMENT),
        ({}, BODY, MOMENT + 301),
        ({}, BODY, MOMENT - 301),
        ({"webhook-id": "msg_other"}, BODY, MOMENT),
        ({"webhook-timestamp": str(MOMENT + 1)}, BODY, MOMENT),
        ({"webhook-timestamp": "now"}, BODY, MOMENT),
        ({"webhook-signature": ""}, BODY, MOMENT),
        ({"webhook-signature": "v1,é"}, BODY, MOMENT),
        ({"webhook-signature": "v2" + HEADERS["webhook-signature"][2:]}, BODY, MOMENT),
    ],
)
def test_the_sample_refuses_a_webhook_that_is_not_ours(
    headers: dict[str, str], body: bytes, now: float, is_genuine: Check
) -> None:
    """Another body, id, moment or scheme, or one that is too old or from the future."""
    assert not is_genuine(HEADERS | headers, body, SECRET, now)


@pytest.fixture
def is_genuine() -> Check:
    """Return the sample's check of a webhook."""
    found = importlib.util.spec_from_file_location("biller", SAMPLES / "biller.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    check: Check = module.is_genuine
    return check


def _run(program: list[str], doors: StandIn, folder: Path) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "QUITTANCE_DEPOSITS_URL": doors.url,
        "QUITTANCE_COLLECTIONS_URL": doors.url,
        "QUITTANCE_TOKEN_URL": f"{doors.url}/oauth/token",
        "QUITTANCE_CLIENT_ID": doors.client_id,
        "QUITTANCE_CLIENT_SECRET": doors.secret,
        "PYTHONUTF8": "1",
    }
    ended = subprocess.run(
        [*program, "invoices.json"],
        cwd=folder,
        env=environment,
        capture_output=True,
        check=True,
        timeout=60,
    )
    return ended.stdout.decode()


def _unescaped(text: str) -> str:
    """Return JSON's escapes as the letters they stand for."""
    return re.sub(r"\\u([0-9a-f]{4})", lambda match: chr(int(match[1], 16)), text)
