"""Letters about an account: every kind, in French and in English, that nobody can forge."""

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import get_args

import lxml.html
import pytest
from msgspec.structs import replace

from notification.adapters.writer import MailWriter
from notification.domain import AccountNews, Circumstances, letter_to, news_of
from notification.ports import Due, UnwritableError
from shared.events import LetterDue
from shared.events.letter_due import LetterKind
from tests.unit.notification.notification_builders import NOW, SECRET, TRACE, a_letter_due

PORTAL = "https://factures.exemple.test"
KINDS: tuple[LetterKind, ...] = get_args(LetterKind)
WITH_LINK = (
    "confirm-address",
    "account-exists",
    "reset-password",
    "no-account",
    "address-changed",
    "delegate-invited",
    "payer-invited",
)
NOTHING_KNOWN = Circumstances(invoices={}, paid_cents={}, unwanted=frozenset())
WRITER = MailWriter(
    public_url=PORTAL, sender_address="ne-pas-repondre@exemple.test", sender_name=""
)


def a_bare_letter(kind: LetterKind, language: str, **changes: object) -> LetterDue:
    """Return a letter as the gateway sends it: some kinds bring a link and a time."""
    letter = a_letter_due(kind=kind, language=language, details={"device": "Firefox, Windows"})
    if kind not in WITH_LINK:
        letter = replace(letter, link=None, expires_at=None)
    return replace(letter, **changes)


def write(event: LetterDue) -> EmailMessage:
    """Return the mail of a letter, read as a mail program reads it."""
    letter = letter_to(event.email, news_of(event, TRACE))
    mail = WRITER.write(Due(letter=letter, attempts=0, written_at=NOW), NOTHING_KNOWN)
    return message_from_bytes(mail.content, policy=default)


def text_of(message: EmailMessage) -> str:
    part = message.get_body(["plain"])
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def html_of(message: EmailMessage) -> str:
    part = message.get_body(["html"])
    assert part is not None
    return str(part.get_content())


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_written_in_both_languages(kind: LetterKind, language: str) -> None:
    """With what happened, what to do, and what to do if it was not the reader."""
    message = write(a_bare_letter(kind, language))

    text, html = text_of(message), html_of(message)
    page = lxml.html.fromstring(html)
    assert page.get("lang") == language
    assert str(message["Subject"]) == page.findtext(".//title") == page.findtext(".//h1")
    assert {part["Content-Language"] for part in message.iter_parts()} == {language}
    assert str(message["From"]) == "Quittance <ne-pas-repondre@exemple.test>"
    questions = {"fr": "Ce n’était pas vous\u00a0?", "en": "Wasn’t it you?"}
    assert questions[language] in text
    assert questions[language] in html
    assert "Firefox, Windows" in text
    assert "{{" not in text + html
    assert "{%" not in text + html
    [link] = [str(element.get("href")) for element in page.iter("a")]
    assert link.startswith(f"{PORTAL}/")
    assert f"{PORTAL}/" in text


@pytest.mark.parametrize("kind", KINDS)
def test_the_two_languages_say_something_else(kind: LetterKind) -> None:
    """No English letter in French, nor the other way round."""
    french, english = (text_of(write(a_bare_letter(kind, name))) for name in ("fr", "en"))

    shared = set(french.splitlines()) & set(english.splitlines())
    assert all(line.startswith(PORTAL) or line in {"", "---", "Quittance"} for line in shared)


def test_says_until_when_the_link_is_good_on_the_clock_of_paris() -> None:
    """A link that stops working without a word makes people try for an hour."""
    french = text_of(write(a_bare_letter("reset-password", "fr")))
    english = text_of(write(a_bare_letter("reset-password", "en")))

    assert (
        "Ce lien n’est plus valable après le 24\u00a0novembre\u00a02026 à 14\u00a0h\u00a035."
        in french
    )
    assert "This link stops working on 24\u00a0November\u00a02026 at 14:35." in english
    assert f"{PORTAL}/connexion/oubli/{SECRET}" in french


def test_shows_what_came_with_the_event_in_the_reader_s_words() -> None:
    """Known names have a label; an instant is told on the clock of Paris; others are not shown."""
    details = {
        "moment": "2026-11-24T13:05:00Z",
        "place": "Orange, France",
        "change": "Code ajouté",
        "unheard_of": "secret",
    }

    text = text_of(write(a_bare_letter("factor-changed", "fr", details=details)))

    assert "Date\u00a0: 24\u00a0novembre\u00a02026 à 14\u00a0h\u00a005\n" in text
    assert "Réseau\u00a0: Orange, France\nChangement\u00a0: Code ajouté\n" in text
    assert "secret" not in text


@pytest.mark.parametrize(
    ("language", "until", "lines"),
    [
        (
            "fr",
            "24 décembre 2026 à 23 h 59",
            "Pour\u00a0: lire et payer les factures\nJusqu’au\u00a0: 24 décembre 2026 à 23 h 59\n",
        ),
        (
            "en",
            "24 December 2026 at 23:59",
            "To: read and pay the invoices\nUntil: 24 December 2026 at 23:59\n",
        ),
    ],
)
def test_an_invitation_says_what_for_and_until_when(language: str, until: str, lines: str) -> None:
    """C9: who accepts knows what they accept."""
    details = {"inviter": "Camille", "rights": "lire-payer", "until": until}

    message = write(a_bare_letter("delegate-invited", language, details=details))

    assert lines in text_of(message)
    assert until in html_of(message)


@pytest.mark.parametrize(
    ("language", "line", "button", "caution"),
    [
        (
            "fr",
            "Collectivité\u00a0: Ville de Saint-Aubin\n",
            "Voir l’invitation",
            "ne le transmettez à personne",
        ),
        ("en", "Authority: Ville de Saint-Aubin\n", "See the invitation", "pass it on to nobody"),
    ],
)
def test_an_authority_that_invites_a_payer_is_named_and_nobody_else(
    language: str, line: str, button: str, caution: str
) -> None:
    """C5: it may reach whom it is not for, so it says who invites, until when, and no more."""
    details = {"authority": "Ville de Saint-Aubin"}
    link = f"{PORTAL}/compte/invitation-redevable/{SECRET}"

    message = write(a_bare_letter("payer-invited", language, link=link, details=details))

    assert line in text_of(message)
    for part in (text_of(message), html_of(message)):
        assert link in part
        assert button in part
        assert caution in part
        assert {"fr": "Ce lien n’est plus valable", "en": "This link stops working"}[
            language
        ] in part


@pytest.mark.parametrize("language", ["fr", "en"])
def test_a_link_that_nobody_asked_for_is_told_with_where_to_see_and_to_undo_it(
    language: str,
) -> None:
    """The store that says so knows no public address: the letter's own pages are added here."""
    message = write(a_bare_letter("link-added", language, link=None, expires_at=None))

    for part in (text_of(message), html_of(message)):
        assert f"{PORTAL}/factures" in part
        assert f"{PORTAL}/compte/payeurs" in part


@pytest.mark.parametrize(
    ("language", "subject", "advice"),
    [
        (
            "fr",
            "Un autre compte voit aussi des factures que vous voyez",
            "signalez-le à la collectivité",
        ),
        ("en", "Another account sees invoices that you see too", "tell the authority"),
    ],
)
def test_another_account_that_sees_the_same_invoices_is_told_as_such(
    language: str, subject: str, advice: str
) -> None:
    """Nothing was added to the reader's own account: who knows of it, and what to do."""
    details = {"authority": "Ville de Saint-Aubin", "account": "other"}
    link = f"{PORTAL}/compte/payeurs"

    message = write(a_bare_letter("link-added", language, link=link, details=details))

    assert message["Subject"] == subject
    for part in (text_of(message), html_of(message)):
        assert advice in part
        assert link in part
        assert "Ville de Saint-Aubin" in part
        assert "other" not in part.replace("another", "").replace("Another", "")


def test_a_code_is_shown_where_one_is_sent() -> None:
    """In both parts of the mail."""
    message = write(a_bare_letter("confirm-address", "en", code="481 516"))

    assert "Your code: 481 516" in text_of(message)
    assert "481 516" in html_of(message)


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "{{ 7 * 7 }}", "a\r\nBcc: x@exemple.test", "\u202eevil"]
)
def test_what_people_wrote_is_text_and_nothing_else(name: str) -> None:
    """M3: whoever names a device, or invites, writes neither markup nor headers nor templates."""
    message = write(a_bare_letter("delegate-invited", "fr", details={"inviter": name}))

    html = html_of(message)
    assert "<script" not in html
    assert "49" not in text_of(message).split("---")[0].split("De la part de")[1].split("\n")[0]
    assert message["Bcc"] is None
    assert "\u202e" not in html


@pytest.mark.parametrize(
    "link",
    [
        "https://factures.exemple.test.attaquant.example/x",
        "https://attaquant.example/factures.exemple.test/",
        "http://factures.exemple.test/x",
        "https://factures.exemple.test@attaquant.example/x",
    ],
)
def test_a_link_that_is_not_of_the_portal_is_never_sent(link: str) -> None:
    """The mail says that all its links are; the error does not repeat the link."""
    with pytest.raises(UnwritableError) as refused:
        write(a_bare_letter("reset-password", "fr", link=link))

    assert link not in str(refused.value)


def test_a_language_that_nobody_speaks_here_is_french() -> None:
    """The event's schema knows two; a newer producer may know more."""
    news = replace(news_of(a_letter_due(), TRACE), language="de")
    letter = letter_to("sacha@exemple.test", news)

    mail = WRITER.write(Due(letter=letter, attempts=0, written_at=NOW), NOTHING_KNOWN)

    assert b"Content-Language: fr" in mail.content
    assert isinstance(letter.fact, AccountNews)


@pytest.mark.parametrize(("language", "word"), [("fr", "lien ci-dessus"), ("en", "link above")])
def test_an_address_that_was_given_up_is_told_of_no_link(language: str, word: str) -> None:
    """When its owner took a change back: there is nothing to restore from there."""
    given_up = a_bare_letter("address-changed", language, link=None, expires_at=None)

    text = text_of(write(given_up))

    assert word in text_of(write(a_bare_letter("address-changed", language)))
    assert word not in text
    assert SECRET not in text
