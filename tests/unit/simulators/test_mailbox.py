"""The mailbox over loopback: mail goes in by SMTP, comes out by the API and the page."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.message import EmailMessage

import aiosmtplib
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from simulators.mailbox.app import SMTP_PORT, create_app

pytestmark = [pytest.mark.asyncio, pytest.mark.enable_socket]


@dataclass
class Mailbox:
    """The mailbox under test."""

    client: "TestClient[web.Request, web.Application]"

    async def send(self, *, to: str = "lea@example.org", subject: str = "Facture") -> None:
        """Send a small mail with text and HTML."""
        sent = EmailMessage()
        sent["Subject"] = subject
        sent["From"] = "cantine@saint-aubin.example"
        sent["To"] = to
        sent["Message-ID"] = "<17@quittance.example>"
        sent.set_content("Voir https://portail.example/q/abc\n")
        sent.add_alternative('<p onclick="x()">Bonjour "Léa"</p>', subtype="html")
        port = self.client.app[SMTP_PORT]
        await aiosmtplib.send(
            sent, hostname="127.0.0.1", port=port, start_tls=False, local_hostname="test"
        )

    async def messages(self, query: str = "") -> list[dict[str, object]]:
        """List messages by the API."""
        listed: list[dict[str, object]] = await (
            await self.client.get(f"/api/messages{query}")
        ).json()
        return listed


@pytest_asyncio.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    """Run a mailbox on loopback."""
    async with TestClient(TestServer(create_app())) as client:
        yield Mailbox(client)


async def test_lists_a_mail_with_its_parts(mailbox: Mailbox) -> None:
    """Everything a test asks of a mail is in one entry."""
    await mailbox.send(subject="Reçu n° 17 – payé")

    (message,) = await mailbox.messages()

    assert message["to"] == "lea@example.org"
    assert message["from"] == "cantine@saint-aubin.example"
    assert message["subject"] == "Reçu n° 17 – payé"
    assert message["text"] == "Voir https://portail.example/q/abc\n"
    assert message["html"] == '<p onclick="x()">Bonjour "Léa"</p>\n'
    assert message["message_id"] == "<17@quittance.example>"
    assert str(message["date"]).endswith("+00:00")


async def test_filters_by_recipient_and_lists_the_newest_first(mailbox: Mailbox) -> None:
    """Letter case of the address makes no difference."""
    await mailbox.send(to="lea@example.org", subject="1")
    await mailbox.send(to="paul@example.org", subject="2")
    await mailbox.send(to="LEA@example.org", subject="3")

    found = await mailbox.messages("?to=lea@example.org")

    assert [message["subject"] for message in found] == ["3", "1"]


async def test_gives_one_mail_with_its_headers(mailbox: Mailbox) -> None:
    """By the identifier of the list; an unknown one is a problem document."""
    await mailbox.send()
    (listed,) = await mailbox.messages()

    found = await (await mailbox.client.get(f"/api/messages/{listed['id']}")).json()
    missing = await mailbox.client.get("/api/messages/99")

    assert {"name": "Subject", "value": "Facture"} in found["headers"]
    assert missing.status == 404
    assert (await missing.json())["type"] == "unknown-message"


async def test_empties_the_box(mailbox: Mailbox) -> None:
    """A test starts from an empty box."""
    await mailbox.send()

    answer = await mailbox.client.delete("/api/messages")

    assert await answer.json() == {"deleted": 1}
    assert await mailbox.messages() == []


async def test_the_page_shows_the_html_in_a_closed_frame(mailbox: Mailbox) -> None:
    """No script of a mail runs; quotes do not break out of the attribute."""
    await mailbox.send()

    text = await (await mailbox.client.get("/messages/1")).text()

    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in text
    assert "allow-scripts" not in text
    assert "<p onclick" not in text
    assert "&lt;p onclick=&#34;x()&#34;&gt;Bonjour &#34;Léa&#34;&lt;/p&gt;" in text
    assert '<a href="https://portail.example/q/abc"' in text


async def test_the_list_page_refreshes_itself(mailbox: Mailbox) -> None:
    """Mails appear without a script."""
    await mailbox.send(subject="<b>Facture</b>")

    text = await (await mailbox.client.get("/")).text()

    assert '<meta http-equiv="refresh" content="5">' in text
    assert "&lt;b&gt;Facture&lt;/b&gt;" in text
    assert (await mailbox.client.get("/messages/99")).status == 404


@pytest.mark.parametrize("code", [451, 550])
async def test_refuses_the_next_mails_when_told(code: int, mailbox: Mailbox) -> None:
    """As many as asked for, then mail flows again; what was refused is not kept."""
    await mailbox.client.post("/api/faults", json={f"refuse_{code}": 1})

    with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as refusal:
        await mailbox.send(subject="refused")
    await mailbox.send(subject="taken")

    assert [entry.code for entry in refusal.value.recipients] == [code]
    assert [message["subject"] for message in await mailbox.messages()] == ["taken"]


async def test_a_slow_mailbox_answers_late() -> None:
    """The answer to the message itself waits the time asked for."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async with TestClient(TestServer(create_app(sleep=sleep))) as client:
        await client.post("/api/faults", json={"slow_seconds": 4})
        slow = Mailbox(client)

        await slow.send()

        assert waits == [4]
        assert len(await slow.messages()) == 1


async def test_stops_with_a_sender_still_connected() -> None:
    """Senders pool their connections; stopping does not wait for them."""
    client = TestClient(TestServer(create_app()))
    await client.start_server()
    port = client.app[SMTP_PORT]
    sender = aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False)
    await sender.connect()

    await client.close()

    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await sender.noop()
