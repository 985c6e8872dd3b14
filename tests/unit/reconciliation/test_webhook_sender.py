"""The way out: the very address that was judged, once, briefly, with nothing followed."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from reconciliation.adapters.webhook_sender import KEPT_BYTES, WebhookSender
from reconciliation.domain.webhooks import Outcome
from reconciliation.ports import Call
from shared.addresses import ForbiddenUrlError, Rule
from shared.outgoing import look_up

pytestmark = pytest.mark.enable_socket

HEADERS = {"content-type": "application/json", "webhook-id": "m"}
PUBLIC = "93.184.216.34"
Make = Callable[..., WebhookSender]


class Receiver:
    """A biller's server, which answers as told."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, bytes]] = []
        self.headers: list[dict[str, str]] = []
        self.answer: Callable[[], web.Response] = web.Response
        self.gate = asyncio.Event()
        self.is_slow = False
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._take)
        self.server = TestServer(application)

    async def _take(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.path, await request.read()))
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        if self.is_slow:
            await self.gate.wait()
        return self.answer()

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.server.port}{path}"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Return a server on this machine."""
    made = Receiver()
    async with made.server:
        yield made
        made.gate.set()


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """Return what makes a sender, by default one that may call this machine."""
    async with AsyncExitStack() as stack:

        def made(
            *, allows_private: bool = True, answers: Sequence[str] | None = None, **options: float
        ) -> WebhookSender:
            sender = WebhookSender(
                Rule(allows_private=allows_private),
                calls=2,
                lookup=look_up if answers is None else lambda _host: list(answers),
                **options,
            )
            stack.push_async_callback(sender.close)
            return sender

        yield made


async def test_posts_the_bytes_and_headers_it_is_given(make: Make, receiver: Receiver) -> None:
    """One POST; the beginning of what is answered comes back."""
    receiver.answer = lambda: web.Response(status=202, text="merci")

    call = await make().send(receiver.url(), HEADERS, b'{"a": 1}')

    assert call == Call(outcome=Outcome.DELIVERED, status=202, answer=b"merci")
    assert [("/hook", b'{"a": 1}')] == receiver.requests
    assert receiver.headers[0]["webhook-id"] == "m"
    assert receiver.headers[0]["user-agent"] == "Quittance-Webhooks/1.0"
    assert "cookie" not in receiver.headers[0]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_follows_no_redirect(make: Make, receiver: Receiver, status: int) -> None:
    """A redirect is a failure: where it leads nobody judged."""
    receiver.answer = lambda: web.Response(
        status=status, headers={"Location": receiver.url("/elsewhere")}
    )

    call = await make().send(receiver.url(), HEADERS, b"{}")

    assert (Outcome.REFUSED, status) == (call.outcome, call.status)
    assert ["/hook"] == [path for path, _ in receiver.requests]


async def test_reads_a_kilobyte_and_no_more(make: Make, receiver: Receiver) -> None:
    """However long the answer is, packed or not."""
    receiver.answer = lambda: web.Response(body=b"x" * 1_000_000)
    long = await make().send(receiver.url(), HEADERS, b"{}")
    packed = gzip.compress(b"y" * 1_000_000)
    receiver.answer = lambda: web.Response(body=packed, headers={"Content-Encoding": "gzip"})
    small = await make().send(receiver.url(), HEADERS, b"{}")

    assert long.answer == b"x" * KEPT_BYTES
    assert small.answer == packed[:KEPT_BYTES]


async def test_gives_up_on_one_that_does_not_answer(make: Make, receiver: Receiver) -> None:
    """The time is for the whole call."""
    receiver.is_slow = True

    call = await make(timeout_seconds=0.1).send(receiver.url(), HEADERS, b"{}")

    assert call == Call(outcome=Outcome.SILENT, detail="no answer in 0.1 s")
    assert 1 == len(receiver.requests)


async def test_says_when_nobody_listens(make: Make, receiver: Receiver) -> None:
    """A closed port is an outcome, not an error."""
    url = receiver.url()
    await receiver.server.close()

    call = await make().send(url, HEADERS, b"{}")

    assert (Outcome.UNREACHABLE, None) == (call.outcome, call.status)
    assert "Connect call failed" in call.detail


@pytest.mark.parametrize(
    "babble",
    [
        b"220 mail.example.fr ESMTP\r\n",
        b"\x00\xff\xed\xa0\x80\r\n\r\n",
        b"HTTP/1.1 \x00\xff\r\n\r\n",
        b"HTTP/1.1 99999 x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX\xff\x00: \xff\x00\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"",
    ],
)
async def test_says_when_what_answers_is_not_http(make: Make, babble: bytes) -> None:
    """Bytes that are no answer are a failure like another, told in words that can be kept."""

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(babble)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async with server:
        call = await make().send(f"http://127.0.0.1:{port}/", HEADERS, b"{}")

    assert (Outcome.UNREACHABLE, None) == (call.outcome, call.status)
    assert call.detail.isprintable()
    assert 0 < len(call.detail) <= 300


@pytest.mark.parametrize(
    "answers",
    [
        ["127.0.0.1"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["10.0.0.1"],
        ["169.254.169.254"],
        [PUBLIC, "127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["fe80::1%1"],
        [],
    ],
)
async def test_a_name_that_leads_inside_is_not_called(make: Make, answers: list[str]) -> None:
    """Whatever the name server says is judged before anything is connected."""
    sender = make(allows_private=False, answers=answers)

    call = await sender.send("https://biller.example.fr/hook", HEADERS, b"{}")

    assert (Outcome.FORBIDDEN, None) == (call.outcome, call.status)
    with pytest.raises(ForbiddenUrlError):
        await sender.check("https://biller.example.fr/hook")


async def test_judges_the_name_at_each_call(make: Make, receiver: Receiver) -> None:
    """A name that was public when it was registered and leads inside now (rebinding)."""
    sender = make(allows_private=False, answers=[PUBLIC])
    url = "https://biller.example.fr/hook"

    await sender.check(url)
    sender._way._lookup = lambda _host: ["127.0.0.1"]
    call = await sender.send(url, HEADERS, b"{}")

    assert call.outcome is Outcome.FORBIDDEN
    assert receiver.requests == []


async def test_connects_to_the_address_that_was_judged(make: Make, receiver: Receiver) -> None:
    """The name is resolved once: what the machine thinks of it does not matter."""
    asked: list[str] = []

    def answer(host: str) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    sender = make()
    sender._way._lookup = answer

    call = await sender.send(receiver.url(host="localhost"), HEADERS, b"{}")

    assert call.outcome is Outcome.DELIVERED
    assert ["localhost"] == asked
    assert receiver.headers[0]["host"] == f"localhost:{receiver.server.port}"


async def test_the_last_door_is_the_socket(make: Make) -> None:
    """An address that came past the resolver is judged before it is connected to."""
    sender = make(allows_private=False)
    sender._way.session.connector._resolver._resolve = _anything  # type: ignore[union-attr]

    call = await sender.send("https://biller.example.fr/", HEADERS, b"{}")

    assert call.status is None
    assert call.outcome in {Outcome.FORBIDDEN, Outcome.UNREACHABLE}
    assert "adresse publique" in call.detail


async def _anything(_host: str) -> list[str]:
    return ["127.0.0.1"]


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "https://127.0.0.1/", "https://[::1]/", "https://2130706433/"]
)
async def test_an_address_written_out_is_judged_too(make: Make, url: str) -> None:
    """There is no name to resolve, and still it is refused: at registration and at each call."""
    sender = make(allows_private=False)

    assert (await sender.send(url, HEADERS, b"{}")).outcome is Outcome.FORBIDDEN
    with pytest.raises(ForbiddenUrlError):
        await sender.check(url)


async def test_a_name_without_address_cannot_be_registered(make: Make) -> None:
    """The biller hears it at once, not after three days."""

    def unknown(_host: str) -> list[str]:
        raise OSError(-2, "Name or service not known")

    sender = make(allows_private=False)
    sender._way._lookup = unknown

    with pytest.raises(ForbiddenUrlError, match="n’a pas d’adresse"):
        await sender.check("https://biller.example.fr/")
    call = await sender.send("https://biller.example.fr/", HEADERS, b"{}")
    assert call.outcome is Outcome.UNREACHABLE
