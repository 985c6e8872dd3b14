"""How the doors are called: who is trusted with the token, and what is never sent twice."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.unit.client.conftest import Console, a_console
from tests.unit.client.stand_in import SECRET, Fault, StandIn, invoices

pytestmark = pytest.mark.enable_socket


def test_credentials_are_form_encoded_before_they_are_joined(
    quittance: Console, doors: StandIn
) -> None:
    """RFC 6749, 2.3.1: the stand-in's secret has a colon, a space, a percent and an accent."""
    code = quittance("totals", "--from", "2026-11-01", "--to", "2026-11-30")

    assert code == 0
    assert doors.tokens == 1


def test_a_wrong_secret_is_told_and_not_repeated(quittance: Console, doors: StandIn) -> None:
    """The token endpoint's own code is shown (RFC 6749, 5.2), the secret is not."""
    quittance.environment["QUITTANCE_CLIENT_SECRET"] = "wrong-one"

    code = quittance("status", "d-1")

    assert code == 2
    assert quittance.err == "Refusé (401 invalid_client) : wrong secret\n"
    assert len(doors.seen) == 1


def test_a_fresh_token_that_is_refused_is_not_renewed_for_ever(
    quittance: Console, doors: StandIn
) -> None:
    """One renewal; then the refusal is believed."""
    refusal = Fault(status=401, body={"code": "invalid-token", "detail": "Non."})
    doors.fail("GET", "/v1/deposits/d-1", refusal, refusal)

    code = quittance("status", "d-1")

    assert code == 2
    assert doors.tokens == 2
    assert quittance.err == "Refusé (401 invalid-token) : Non.\n"


def test_no_redirect_is_followed(quittance: Console, doors: StandIn) -> None:
    """Another place must not learn the token."""
    with StandIn() as elsewhere:
        target = f"{elsewhere.url}/v1/deposits/d-1"
        doors.fail("GET", "/v1/deposits/d-1", Fault(status=307, headers={"Location": target}))

        code = quittance("status", "d-1")

        assert code == 2
        assert elsewhere.seen == []
        assert "307 http-307" in quittance.err


def test_the_secret_is_never_shown(quittance: Console, doors: StandIn) -> None:
    """Not on success, not in an error, not in JSON."""
    path = quittance.file("a.json", invoices(4100))
    doors.fail("GET", "/v1/deposits/d-1", Fault(status=403, body={"code": "x", "detail": "Non."}))
    told = ""

    for arguments in (("status", "d-1"), ("deposit", str(path)), ("--json", "status", "d-1")):
        quittance(*arguments)
        told += quittance.out + quittance.err

    assert SECRET not in told
    assert "token-" not in told


@pytest.mark.parametrize("fault", [Fault(cut_after_bytes=0), Fault(status=502), Fault(status=504)])
@pytest.mark.parametrize(
    "arguments",
    [("withdraw", "i-1", "--reason", "doublon"), ("release", "d-1"), ("cancel", "d-1")],
)
def test_what_may_have_been_done_is_not_done_again(
    arguments: tuple[str, ...], fault: Fault, quittance: Console, doors: StandIn
) -> None:
    """A decision whose answer is lost is in doubt: the command says so and leaves it to people."""
    kind = "invoices/i-1" if arguments[0] == "withdraw" else "deposits/d-1"
    doors.fail("POST", f"/v1/{kind}/{arguments[0]}", fault)

    code = quittance(*arguments)

    assert code == 2
    assert "on ne sait pas si 127.0.0.1 a fait ce qui était demandé" in quittance.err
    assert doors.answers == {("POST", "/oauth/token"): 1}
    assert quittance.waits == []


def test_a_decision_that_was_surely_not_taken_is_asked_again(
    quittance: Console, doors: StandIn
) -> None:
    """503 says that nothing was done."""
    doors.fail("POST", "/v1/invoices/i-1/withdraw", Fault(status=503))

    code = quittance("withdraw", "i-1", "--reason", "doublon")

    (*_, sent) = doors.of("POST", "/v1/invoices/i-1/withdraw")
    assert code == 0
    assert sent.body == b'{"reason":"doublon"}'
    assert "withdrawn" in quittance.out


def test_an_answer_that_is_no_document_is_refused(quittance: Console, doors: StandIn) -> None:
    """A page of some proxy is not taken for a deposit."""
    doors.fail("GET", "/v1/collections", Fault(status=200, body={"hello": "world"}))

    code = quittance("collections")

    assert code == 2
    assert quittance.err == "Refusé (200 unreadable-answer) : items\n"


def test_nobody_there_is_told_after_bounded_tries(tmp_path: Path) -> None:
    """A port where nothing listens: eight tries, a minute in all, then code 2."""
    with StandIn() as gone:
        environment = gone.environment()
    console = a_console(tmp_path, environment)

    code = console("status", "d-1")

    assert code == 2
    assert console.waits == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0]
    assert "127.0.0.1 ne répond pas (ConnectError)" in console.err


def test_only_a_trusted_certificate_is_spoken_to(tmp_path: Path) -> None:
    """A certificate that nobody vouches for gets neither secret nor second try."""
    with StandIn(_certificate(tmp_path)) as doors:
        console = a_console(tmp_path, doors.environment())

        refused = console("status", "d-1")

        assert refused == 2
        assert "Le certificat de localhost n’est pas reconnu (self-signed certificate)" in (
            console.err
        )
        assert (console.waits, doors.seen) == ([], [])


def test_an_authority_of_ones_own_may_vouch(tmp_path: Path) -> None:
    """Networks of local authorities often have their own: QUITTANCE_CA_FILE names it."""
    with StandIn(_certificate(tmp_path)) as doors:
        certificate = {"QUITTANCE_CA_FILE": str(tmp_path / "certificate.pem")}
        console = a_console(tmp_path, doors.environment() | certificate)

        code = console("totals", "--from", "2026-11-01", "--to", "2026-11-30")

        assert code == 0
        assert console.err == ""


def _certificate(folder: Path) -> ssl.SSLContext:
    """Return a server's side of TLS for localhost, its own certificate in `certificate.pem`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = folder / "key.pem"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, private)
    return context
