"""`quittance webhook`: the secret goes into a private file and nowhere else."""

import json

import pytest

from tests.unit.client.conftest import Console
from tests.unit.client.stand_in import Fault, StandIn

pytestmark = pytest.mark.enable_socket

ADDRESS = "https://facturation.example.org/quittance"


def test_the_secret_is_kept_in_a_private_file(quittance: Console, doors: StandIn) -> None:
    """It is answered once, so it is put away at once, and not shown."""
    secret = quittance.folder / "webhook.secret"

    code = quittance(
        "webhook", "set", ADDRESS, "--regie", "CANTINE", "--secret-file", str(secret), "--json"
    )

    assert code == 0
    assert secret.read_text() == "whsec_b25jZQ=="
    assert secret.stat().st_mode & 0o777 == 0o600
    assert doors.webhook == {"url": ADDRESS, "regies": ["CANTINE"]}
    assert json.loads(quittance.out)["secret"] == "•••"
    assert "whsec_" not in quittance.out + quittance.err


def test_another_address_keeps_the_secret(quittance: Console, doors: StandIn) -> None:
    """Only the first time there is a secret to keep; the file stays as it was."""
    secret = quittance.folder / "webhook.secret"
    quittance("webhook", "set", ADDRESS, "--secret-file", str(secret))

    code = quittance("webhook", "set", f"{ADDRESS}/2", "--since", "7", "--secret-file", str(secret))

    assert code == 0
    assert secret.read_text() == "whsec_b25jZQ=="
    assert doors.webhook == {"url": f"{ADDRESS}/2", "regies": None, "since": "7"}
    assert quittance.err == ""


def test_nothing_is_asked_when_the_secret_could_not_be_kept(
    quittance: Console, doors: StandIn
) -> None:
    """A secret that is told once must have a place before."""
    blocked = quittance.file("file", b"") / "webhook.secret"

    code = quittance("webhook", "set", ADDRESS, "--secret-file", str(blocked))

    assert code == 2
    assert doors.seen == []


def test_a_lost_answer_is_in_doubt_and_the_old_secret_stays(
    quittance: Console, doors: StandIn
) -> None:
    """A second request would make a third secret."""
    secret = quittance.file("webhook.secret", b"whsec_b2xk")
    doors.fail("POST", "/v1/webhooks/secret", Fault(cut_after_bytes=0))

    code = quittance("webhook", "rotate", "--secret-file", str(secret))

    assert code == 2
    assert "on ne sait pas si" in quittance.err
    assert secret.read_bytes() == b"whsec_b2xk"
    assert [path.name for path in quittance.folder.glob("webhook*")] == ["webhook.secret"]


def test_a_changed_secret_replaces_the_old(quittance: Console) -> None:
    """The old one signs too for a day: that is the door's part."""
    secret = quittance.file("webhook.secret", b"whsec_b2xk")

    code = quittance("webhook", "rotate", "--secret-file", str(secret))

    assert code == 0
    assert secret.read_text() == "whsec_dHdpY2U="
    assert quittance.err == f"Le secret est dans {secret} (lisible par vous seul).\n"


@pytest.mark.parametrize(
    ("arguments", "method", "path", "body"),
    [
        (("show",), "GET", "/v1/webhooks", b""),
        (("test",), "POST", "/v1/webhooks/test", b""),
        (("delete",), "DELETE", "/v1/webhooks", b""),
        (("deliveries",), "GET", "/v1/webhooks/deliveries", b""),
        (("deliveries", "w-1"), "GET", "/v1/webhooks/deliveries/w-1", b""),
        (("replay", "w-1"), "POST", "/v1/webhooks/deliveries/w-1/replay", b""),
        (
            ("replay", "--from", "2026-11-01T00:00:00Z", "--to", "2026-11-02T00:00:00Z"),
            "POST",
            "/v1/webhooks/replay",
            b'{"from":"2026-11-01T00:00:00Z","to":"2026-11-02T00:00:00Z"}',
        ),
    ],
)
def test_each_action_asks_its_door(
    arguments: tuple[str, ...],
    method: str,
    path: str,
    body: bytes,
    quittance: Console,
    doors: StandIn,
) -> None:
    """The contract's method, path and body."""
    code = quittance("webhook", *arguments)

    (seen,) = doors.of(method, path)
    assert code == 0
    assert seen.body == body


def test_a_replay_needs_to_know_of_what(quittance: Console, doors: StandIn) -> None:
    """Not everything for want of an argument."""
    code = quittance("webhook", "replay", "--from", "2026-11-01T00:00:00Z")

    assert code == 2
    assert quittance.err == "Donnez l’identifiant d’un envoi, ou --from et --to.\n"
    assert doors.seen == []
