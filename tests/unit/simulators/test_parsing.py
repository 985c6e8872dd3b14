"""How the mailbox reads MIME messages."""

from datetime import UTC, datetime
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.mailbox.letterbox import Letterbox
from simulators.mailbox.parsing import Attachment, Message, decode_words, read_message

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


def parse(raw: bytes) -> Message:
    """Read `raw` as received by one address."""
    return read_message(
        raw,
        message_id="1",
        recipients=["lea@example.org"],
        mail_from="bounce@quittance.example",
        received_at=NOW,
    )


def test_reads_a_mail_with_text_html_and_an_attachment() -> None:
    """Each part lands in its place, accents included."""
    sent = EmailMessage()
    sent["Subject"] = "Votre facture de cantine est disponible – 87,40 €"
    sent["From"] = "Mairie de Saint-Aubin <cantine@saint-aubin.example>"
    sent["To"] = "Léa Le Goff <lea@example.org>"
    sent["Date"] = "Tue, 24 Nov 2026 09:30:00 +0100"
    sent["Message-ID"] = "<17@quittance.example>"
    sent.set_content("Bonjour Léa,\nhttps://portail.example/q/abc\n")
    sent.add_alternative("<p>Bonjour Léa</p>\n", subtype="html")
    sent.add_attachment(b"%PDF-1.7", maintype="application", subtype="pdf", filename="reçu.pdf")

    message = parse(sent.as_bytes())

    assert message.to == "lea@example.org"
    assert message.sender == "cantine@saint-aubin.example"
    assert message.subject == "Votre facture de cantine est disponible – 87,40 €"
    assert message.text == "Bonjour Léa,\nhttps://portail.example/q/abc\n"
    assert message.html == "<p>Bonjour Léa</p>\n"
    assert message.date == datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
    assert message.message_id == "<17@quittance.example>"
    assert message.header("to") == "Léa Le Goff <lea@example.org>"
    assert list(message.attachments) == [
        Attachment(name="reçu.pdf", content_type="application/pdf", size_bytes=8)
    ]


def test_reads_a_mail_of_plain_text_only() -> None:
    """No HTML is an empty HTML."""
    message = parse(b"Subject: Relance\r\n\r\nBonjour\r\n")

    assert (message.subject, message.text, message.html) == ("Relance", "Bonjour\n", "")


def test_a_text_attachment_is_not_the_body() -> None:
    """Only what is meant to be read inline counts as the text."""
    sent = EmailMessage()
    sent.set_content("<p>Bonjour</p>", subtype="html")
    sent.add_attachment("a;b\n", subtype="plain", filename="liste.txt")

    message = parse(sent.as_bytes())

    assert message.text == ""
    assert [attachment.name for attachment in message.attachments] == ["liste.txt"]


@pytest.mark.parametrize("date", ["", "yesterday", "Tue, 99 Nov 2026 09:30:00 +0100"])
def test_a_message_without_a_readable_date_has_that_of_its_receipt(date: str) -> None:
    """A date is always given."""
    message = parse(f"Date: {date}\r\n\r\n".encode())

    assert message.date == NOW


def test_a_date_without_zone_is_in_utc() -> None:
    """RFC 5322: `-0000` says nothing of the place, the time is UTC."""
    message = parse(b"Date: Tue, 24 Nov 2026 09:30:00 -0000\r\n\r\n")

    assert message.date == datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("=?utf-8?q?Re=C3=A7u?=", "Reçu"),
        ("=?iso-8859-1?q?Re=E7u?= =?utf-8?b?w6l0w6k=?=", "Reçuété"),
        ("=?no-such-charset?q?abc?=", "abc"),
        ("Folded\r\n line", "Folded line"),
    ],
)
def test_decodes_headers(written: str, read: str) -> None:
    """Encoded words, unknown charsets and folded lines."""
    assert decode_words(written) == read


@given(st.binary(max_size=400))
def test_any_bytes_are_a_message(raw: bytes) -> None:
    """Whatever a sender wrote can be kept and shown."""
    message = parse(raw)

    shown = message.subject + message.text + message.html + message.sender + message.message_id
    assert shown.encode("utf-8").decode("utf-8") == shown


HEADER_PIECES = st.sampled_from(
    ["=?utf-8?b?", "=?x?q?", "?=", "====", "\xe9", '"', ";", "charset=", "boundary=", "*0*=", "a"]
)


@given(
    st.sampled_from(["Content-Type: text/plain; ", "Content-Disposition: ", "Subject: ", "Date: "]),
    st.lists(HEADER_PIECES, max_size=8),
)
def test_any_header_is_read(name: str, pieces: list[str]) -> None:
    """Broken encoded words and parameters do not stop the mailbox."""
    raw = f"{name}{''.join(pieces)}\r\n\r\nBonjour".encode("latin-1")

    assert parse(raw).id == "1"


def test_keeps_the_newest_messages_only() -> None:
    """Memory is bounded; identifiers go on."""
    letterbox = Letterbox(2, lambda: NOW)

    for rank in range(3):
        letterbox.receive(f"Subject: {rank}\r\n\r\n".encode(), ["lea@example.org"], "")

    assert [(entry.id, entry.subject) for entry in letterbox.newest_first()] == [
        ("3", "2"),
        ("2", "1"),
    ]
    assert letterbox.find("1") is None


def test_identifiers_go_on_after_emptying() -> None:
    """A test that emptied the box cannot mistake an old message for a new one."""
    letterbox = Letterbox(2, lambda: NOW)
    letterbox.receive(b"", ["lea@example.org"], "")

    count = letterbox.empty()

    assert count == 1
    assert letterbox.receive(b"", ["lea@example.org"], "").id == "2"
