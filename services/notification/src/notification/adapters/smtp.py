"""The mail server, through a few SMTP connections that stay open between mails (RFC 5321)."""

import asyncio
import ssl
import time
from collections.abc import Callable
from typing import Literal

import aiosmtplib

from notification.domain import one_line
from notification.ports import Mail, PutOffError, RefusedError, UnreachableError

COMMAND_SECONDS = 20.0
"""Longest wait for one answer."""
SEND_SECONDS = 120.0
"""Longest time for one mail, connection included; must stay below the lease of a letter."""
CHECK_AFTER_IDLE_SECONDS = 5.0
"""A connection left alone for longer is asked for a sign of life (NOOP) first."""
RENEW_AFTER_IDLE_SECONDS = 120.0
"""A connection left alone for longer is opened again; servers hang up after some minutes."""
MAILS_PER_CONNECTION = 100
"""Many servers allow no more on one connection."""
ANSWER_CHARACTERS = 500
PERMANENT = 500
CLOSING = 421

Security = Literal["none", "starttls", "tls"]


class _HungUpError(Exception):
    """The server closed a connection that was left open, between two mails."""


class _Line:
    """One open connection."""

    def __init__(self, client: aiosmtplib.SMTP) -> None:
        self.client = client
        self.used_at = time.monotonic()
        self.mails = 0

    @property
    def idle_seconds(self) -> float:
        return time.monotonic() - self.used_at


class SmtpPostbox:
    """Sends mails over at most `connections` connections; see `ports.Postbox`."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        security: Security,
        username: str = "",
        password: str = "",
        ca_file: str = "",
        connections: int,
    ) -> None:
        """Keep the options; nothing connects before the first mail."""
        context = ssl.create_default_context(cafile=ca_file or None)
        self._new_client: Callable[[], aiosmtplib.SMTP] = lambda: aiosmtplib.SMTP(
            hostname=host,
            port=port,
            timeout=COMMAND_SECONDS,
            use_tls=security == "tls",
            start_tls=security == "starttls",
            tls_context=None if security == "none" else context,
            username=username or None,
            password=password or None,
        )
        self._turn = asyncio.Semaphore(connections)
        self._idle: list[_Line] = []

    async def send(self, mail: Mail) -> str:
        """Return the server's answer once it has taken charge of the mail.

        Raises:
            RefusedError: it never will.
            PutOffError: it does not now.
            UnreachableError: it did not answer, so it may or may not have the mail.
        """
        async with self._turn:
            try:
                async with asyncio.timeout(SEND_SECONDS):
                    return await self._send(mail)
            except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
                raise UnreachableError(one_line(repr(error))[:ANSWER_CHARACTERS]) from error

    async def close(self) -> None:
        """Take leave of the server on each idle connection."""
        while self._idle:
            await _leave(self._idle.pop())

    async def _send(self, mail: Mail) -> str:
        try:
            return await self._say(await self._line(), mail)
        except _HungUpError:
            # Nothing of this mail was said on the old connection, so this repeats nothing.
            return await self._say(await self._open(), mail)

    async def _say(self, line: _Line, mail: Mail) -> str:
        line.mails += 1
        try:
            await _begin(line, mail)
            answer = await _finish(line, mail)
        except (RefusedError, PutOffError) as error:
            await self._keep_after_refusal(line, error.code)
            raise
        except BaseException:
            # Also when cancelled: a dialogue cut in the middle cannot be taken up again.
            line.client.close()
            raise
        self._keep(line)
        return answer

    async def _line(self) -> _Line:
        while self._idle:
            line = self._idle.pop()
            if line.client.is_connected and line.mails < MAILS_PER_CONNECTION:
                if line.idle_seconds < CHECK_AFTER_IDLE_SECONDS or await _is_alive(line):
                    return line
            else:
                await _leave(line)
        return await self._open()

    async def _open(self) -> _Line:
        client = self._new_client()
        try:
            await client.connect()
        except BaseException:
            client.close()
            raise
        return _Line(client)

    async def _keep_after_refusal(self, line: _Line, code: int) -> None:
        if code == CLOSING:
            line.client.close()
            return
        try:
            await line.client.rset()
        except (aiosmtplib.SMTPException, OSError):
            # The refusal is what counts; the next mail opens another connection.
            line.client.close()
            return
        self._keep(line)

    def _keep(self, line: _Line) -> None:
        line.used_at = time.monotonic()
        self._idle.append(line)


async def _begin(line: _Line, mail: Mail) -> None:
    is_reused = line.mails > 1
    try:
        await line.client.mail(mail.sender)
    except aiosmtplib.SMTPServerDisconnected as error:
        if is_reused:
            raise _HungUpError from error
        raise
    except aiosmtplib.SMTPResponseException as error:
        if is_reused and error.code == CLOSING:
            raise _HungUpError from error
        # Our sender is refused, not the reader: a matter of settings, even with a 5yz.
        raise PutOffError(error.code, _words(error.message)) from error


async def _finish(line: _Line, mail: Mail) -> str:
    try:
        await line.client.rcpt(mail.recipient)
        answer = await line.client.data(mail.content)
    except aiosmtplib.SMTPResponseException as error:
        words = _words(error.message)
        if error.code >= PERMANENT:
            raise RefusedError(error.code, words) from error
        raise PutOffError(error.code, words) from error
    return _words(answer.message)


async def _is_alive(line: _Line) -> bool:
    if line.idle_seconds > RENEW_AFTER_IDLE_SECONDS:
        await _leave(line)
        return False
    try:
        await line.client.noop()
    except (aiosmtplib.SMTPException, OSError):
        line.client.close()
        return False
    return True


async def _leave(line: _Line) -> None:
    try:
        await line.client.quit(timeout=1.0)
    except (aiosmtplib.SMTPException, OSError):
        # Politeness only: the server has hung up already.
        line.client.close()


def _words(answer: str) -> str:
    """Return a server's answer fit to be stored and shown."""
    return one_line(answer)[:ANSWER_CHARACTERS]
