"""The mail server's side of the dialogue, spoken by aiosmtpd on the loopback interface."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from notification.adapters import smtp
from notification.adapters.smtp import SmtpPostbox
from notification.ports import Mail, PutOffError, RefusedError, UnreachableError

pytestmark = pytest.mark.enable_socket

MAIL = Mail(
    sender="ne-pas-repondre@exemple.test",
    recipient="camille@exemple.test",
    content=b"Subject: Facture\r\n\r\nBonjour\r\n.\r\nfin\r\n",
)
SENDER_REFUSED = Mail(sender="inconnu@exemple.test", recipient=MAIL.recipient, content=b"\r\n")


def drop(connection: SMTP) -> None:
    """Close a connection without a word."""
    if connection.transport is not None:
        connection.transport.close()


class Server:
    """A mail server that answers as it is told to, then takes everything."""

    def __init__(self) -> None:
        """Take everything."""
        self.answers: list[str] = []
        self.cuts_after_data = 0
        self.taken: list[bytes] = []
        self.peers: list[object] = []
        self.opened: list[SMTP] = []
        self.noops = 0
        self.port = 0
        self.is_full = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def handle_MAIL(  # noqa: N802 - imposed by aiosmtpd
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Refuse one unknown sender."""
        if address == SENDER_REFUSED.sender:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802 - imposed by aiosmtpd
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Give the next prepared answer."""
        if self.answers:
            return self.answers.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_NOOP(  # noqa: N802 - imposed by aiosmtpd
        self, server: SMTP, session: Session, envelope: Envelope, argument: str
    ) -> str:
        """Count signs of life."""
        self.noops += 1
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - imposed by aiosmtpd
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Take the mail, or hang up once it is there."""
        await self.gate.wait()
        content = envelope.original_content or b""
        self.taken.append(content)
        self.peers.append(session.peer)
        if self.cuts_after_data:
            self.cuts_after_data -= 1
            drop(server)
        return "250 2.0.0 Queued as 1"

    def hang_up(self) -> None:
        """Close every connection, as servers do with idle ones."""
        for connection in self.opened:
            drop(connection)


def authenticate(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: object
) -> AuthResult:
    """Accept one account."""
    wanted = LoginPassword(b"mairie", b"secret")
    return AuthResult(success=given == wanted, handled=False)


@asynccontextmanager
async def listening(
    *,
    connections: int = 2,
    starttls: ssl.SSLContext | None = None,
    implicit_tls: ssl.SSLContext | None = None,
) -> AsyncIterator[tuple[Server, SmtpPostbox]]:
    """Run a server and the postbox that sends to it."""
    server = Server()

    def connect() -> SMTP:
        connection = SMTP(
            server,
            hostname="mail.test",
            loop=asyncio.get_running_loop(),
            tls_context=starttls,
            require_starttls=starttls is not None,
            authenticator=authenticate,
            auth_required=starttls is not None,
        )
        server.opened.append(connection)
        if len(server.opened) == connections:
            server.is_full.set()
        return connection

    listener = await asyncio.get_running_loop().create_server(
        connect, "127.0.0.1", 0, ssl=implicit_tls
    )
    server.port = listener.sockets[0].getsockname()[1]
    postbox = SmtpPostbox("127.0.0.1", server.port, security="none", connections=connections)
    try:
        yield server, postbox
    finally:
        await postbox.close()
        listener.close()
        await listener.wait_closed()


@pytest.mark.asyncio
async def test_hands_a_mail_over_unchanged() -> None:
    """Byte for byte, lines that start with a dot included (RFC 5321, 4.5.2)."""
    async with listening() as (server, postbox):
        answer = await postbox.send(MAIL)

    assert answer == "2.0.0 Queued as 1"
    assert server.taken == [MAIL.content]


@pytest.mark.asyncio
async def test_sends_many_mails_over_one_connection() -> None:
    """Connections stay open between mails."""
    async with listening() as (server, postbox):
        for _ in range(20):
            await postbox.send(MAIL)

    assert len(server.taken) == 20
    assert len(server.opened) == 1


@pytest.mark.asyncio
async def test_opens_no_more_connections_than_it_may() -> None:
    """Twenty mails at once share three connections."""
    async with listening(connections=3) as (server, postbox):
        server.gate.clear()
        sending = [asyncio.create_task(postbox.send(MAIL)) for _ in range(20)]
        await server.is_full.wait()
        server.gate.set()
        await asyncio.gather(*sending)

    assert len(server.taken) == 20
    assert len(server.opened) == 3


@pytest.mark.asyncio
async def test_opens_another_connection_after_so_many_mails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Servers limit the mails of one connection."""
    monkeypatch.setattr(smtp, "MAILS_PER_CONNECTION", 2)
    async with listening() as (server, postbox):
        for _ in range(5):
            await postbox.send(MAIL)

    assert len(server.opened) == 3


@pytest.mark.asyncio
async def test_puts_a_mail_off_and_keeps_the_connection() -> None:
    """451, then 250 on the same connection."""
    async with listening() as (server, postbox):
        server.answers = ["451 4.3.0 Try again later"]
        with pytest.raises(PutOffError) as refusal:
            await postbox.send(MAIL)
        await postbox.send(MAIL)

    assert (refusal.value.code, refusal.value.answer) == (451, "4.3.0 Try again later")
    assert len(server.taken) == 1
    assert len(server.opened) == 1


@pytest.mark.asyncio
async def test_tells_a_mailbox_that_does_not_exist_apart() -> None:
    """550 for the reader is for ever."""
    async with listening() as (server, postbox):
        server.answers = ["550 5.1.1 No such mailbox here"]
        with pytest.raises(RefusedError) as refusal:
            await postbox.send(MAIL)

    assert (refusal.value.code, refusal.value.answer) == (550, "5.1.1 No such mailbox here")
    assert server.taken == []


@pytest.mark.asyncio
async def test_blames_no_reader_when_our_sender_is_refused() -> None:
    """A 5yz to MAIL FROM is a matter of our settings: every mail can leave once they are right."""
    async with listening() as (_, postbox):
        with pytest.raises(PutOffError) as refusal:
            await postbox.send(SENDER_REFUSED)

    assert refusal.value.code == 530


@pytest.mark.asyncio
async def test_goes_on_when_the_server_closed_an_idle_connection() -> None:
    """Nothing was said of the second mail yet: it leaves on a fresh connection, once."""
    async with listening() as (server, postbox):
        await postbox.send(MAIL)
        server.hang_up()
        await postbox.send(MAIL)

    assert len(server.taken) == 2
    assert len(server.opened) == 2


@pytest.mark.asyncio
async def test_does_not_repeat_a_mail_by_itself_when_the_answer_is_lost() -> None:
    """Cut after the content: the server may have it, so the ladder decides, not the connection."""
    async with listening() as (server, postbox):
        server.cuts_after_data = 1
        with pytest.raises(UnreachableError):
            await postbox.send(MAIL)
        taken_once = len(server.taken)
        await postbox.send(MAIL)

    assert taken_once == 1
    assert len(server.opened) == 2


@pytest.mark.asyncio
async def test_asks_an_idle_connection_for_a_sign_of_life(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """NOOP, then the mail on the same connection."""
    monkeypatch.setattr(smtp, "CHECK_AFTER_IDLE_SECONDS", 0.0)
    async with listening() as (server, postbox):
        await postbox.send(MAIL)
        await postbox.send(MAIL)

    assert server.noops == 1
    assert len(server.opened) == 1


@pytest.mark.asyncio
async def test_says_when_nobody_listens() -> None:
    """The letter is tried again later."""
    async with listening() as (server, _):
        port = server.port
    postbox = SmtpPostbox("127.0.0.1", port, security="none", connections=1)

    with pytest.raises(UnreachableError, match="Connect"):
        await postbox.send(MAIL)


@pytest.mark.asyncio
async def test_sends_nothing_in_clear_when_tls_is_wanted() -> None:
    """A server without STARTTLS gets neither password nor mail."""
    async with listening() as (server, _):
        careful = SmtpPostbox("127.0.0.1", server.port, security="starttls", connections=1)
        with pytest.raises(UnreachableError):
            await careful.send(MAIL)

    assert server.taken == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a key and its self-signed certificate for 127.0.0.1, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail.test")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "mail.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return path


def server_side(certificate: Path) -> ssl.SSLContext:
    """Return the server's half of TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


@pytest.mark.asyncio
async def test_proves_itself_over_starttls(certificate: Path) -> None:
    """The usual submission: port 587, STARTTLS, account and password (RFC 6409)."""
    async with listening(starttls=server_side(certificate)) as (server, _):
        postbox = SmtpPostbox(
            "127.0.0.1",
            server.port,
            security="starttls",
            username="mairie",
            password="secret",
            ca_file=str(certificate),
            connections=1,
        )
        await postbox.send(MAIL)
        await postbox.close()

    assert server.taken == [MAIL.content]


@pytest.mark.asyncio
async def test_speaks_tls_from_the_first_byte(certificate: Path) -> None:
    """Implicit TLS, port 465 (RFC 8314)."""
    async with listening(implicit_tls=server_side(certificate)) as (server, _):
        postbox = SmtpPostbox(
            "127.0.0.1", server.port, security="tls", ca_file=str(certificate), connections=1
        )
        await postbox.send(MAIL)
        await postbox.close()

    assert server.taken == [MAIL.content]


@pytest.mark.asyncio
async def test_trusts_no_unknown_certificate(certificate: Path) -> None:
    """A server that cannot prove its name gets nothing."""
    async with listening(implicit_tls=server_side(certificate)) as (server, _):
        postbox = SmtpPostbox("127.0.0.1", server.port, security="tls", connections=1)
        with pytest.raises(UnreachableError, match="CERTIFICATE_VERIFY_FAILED"):
            await postbox.send(MAIL)

    assert server.taken == []
