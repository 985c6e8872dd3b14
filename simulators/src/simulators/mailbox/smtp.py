"""The SMTP side: takes every message for every address, unless a fault switch says otherwise."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiosmtpd.smtp import SMTP, Envelope, Session

from simulators.faults import FaultBoard, SwitchKind
from simulators.mailbox.letterbox import Letterbox

Sleep = Callable[[float], Awaitable[object]]

MAX_MESSAGE_BYTES = 10 * 1024 * 1024
IDLE_TIMEOUT_SECONDS = 300.0

SWITCHES = {
    "refuse_451": SwitchKind.COUNT,
    "refuse_550": SwitchKind.COUNT,
    "slow_seconds": SwitchKind.SECONDS,
}


class _Postman:
    """The hooks that aiosmtpd calls; their names and arguments are its contract."""

    def __init__(self, letterbox: Letterbox, faults: FaultBoard, sleep: Sleep) -> None:
        self._letterbox = letterbox
        self._faults = faults
        self._sleep = sleep

    async def handle_RCPT(  # noqa: N802 - imposed by aiosmtpd
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        """Take or refuse one recipient."""
        if self._faults.take("refuse_451"):
            return "451 4.3.0 Mailbox temporarily unavailable, try again later"
        if self._faults.take("refuse_550"):
            return "550 5.1.1 No such mailbox here"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802 - imposed by aiosmtpd
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Keep the message; the answer carries its identifier."""
        delay_seconds = self._faults.seconds("slow_seconds")
        if delay_seconds:
            await self._sleep(delay_seconds)
        content = envelope.content
        raw = content if isinstance(content, bytes) else (content or "").encode()
        message = self._letterbox.receive(raw, envelope.rcpt_tos, envelope.mail_from or "")
        return f"250 2.0.0 OK message {message.id}"


class _Connection(SMTP):
    """One connection, known to the server so that it can be closed with it."""

    def __init__(self, postman: _Postman, opened: set["_Connection"]) -> None:
        super().__init__(
            postman,
            data_size_limit=MAX_MESSAGE_BYTES,
            enable_SMTPUTF8=True,
            hostname="mailbox.test",
            ident="Quittance mailbox",
            timeout=IDLE_TIMEOUT_SECONDS,
            loop=asyncio.get_running_loop(),
        )
        self._opened = opened

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._opened.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._opened.discard(self)
        super().connection_lost(error)

    def hang_up(self) -> None:
        if self.transport is not None:
            self.transport.close()


@asynccontextmanager
async def listening(
    letterbox: Letterbox, faults: FaultBoard, sleep: Sleep, host: str, port: int
) -> AsyncIterator[int]:
    """Receive mail into `letterbox` while the context is open; yield the port really bound."""
    postman = _Postman(letterbox, faults, sleep)
    opened: set[_Connection] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(postman, opened), host, port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        # Senders keep connections open between mails; waiting for them would never end.
        for connection in list(opened):
            connection.hang_up()
        await server.wait_closed()
