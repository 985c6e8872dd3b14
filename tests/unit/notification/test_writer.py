"""Mails as their readers see them."""

import re
from collections.abc import Collection
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from html.parser import HTMLParser
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notification.adapters.writer import MailWriter
from notification.domain import Circumstances, InvoiceFact, receipt_of, reminder_of, reversal_of
from notification.ports import Due, UnwritableError
from shared.events import InvoicePublished
from tests.unit.notification.notification_builders import (
    INVOICE_ID,
    OTHER_INVOICE_ID,
    TOKEN,
    TRACE,
    VIEWER,
    a_captured_payment,
    a_due_letter,
    a_publication,
    a_published_invoice,
    a_reminder,
    a_reversed_payment,
    an_allocation,
    circumstances_of,
)

LINK = f"https://factures.exemple.test/q/{TOKEN}"
NO_BREAK = re.compile("[\u00a0\u202f]")
EVERY_FACT: tuple[InvoiceFact, ...] = (
    a_publication(),
    receipt_of(a_captured_payment(), TRACE),
    reversal_of(a_reversed_payment(), TRACE),
    reminder_of(a_reminder(), TRACE),
)


class Page(HTMLParser):
    """What a reader meets in an HTML page: tags, links, words."""

    def __init__(self, html: str) -> None:
        """Read `html`."""
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.words = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        self.links += [value or "" for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        """Note words."""
        self.words += data


def a_writer(sender_name: str = "") -> MailWriter:
    """Return the writer of a portal."""
    return MailWriter(
        public_url="https://factures.exemple.test/",
        sender_address="ne-pas-repondre@exemple.test",
        sender_name=sender_name,
    )


def read(due: Due, circumstances: Circumstances, sender_name: str = "") -> EmailMessage:
    """Return the mail of a letter as a mail program parses it."""
    mail = message_from_bytes(
        a_writer(sender_name).write(due, circumstances).content, policy=default
    )
    assert isinstance(mail, EmailMessage)
    assert [part.defects for part in mail.walk()] == [[], [], []]
    return mail


def texts(
    fact: InvoiceFact,
    *events: InvoicePublished,
    paid_cents: int = 0,
    asked: str | None = None,
    seeing: Collection[tuple[str, UUID]] = (),
    accounts: Collection[str] = (),
) -> tuple[str, str, str]:
    """Return subject, plain text and HTML of the only letter about `fact`, or of who asked."""
    known = events or (a_published_invoice(),)
    circumstances = circumstances_of(
        *known, paid_cents={INVOICE_ID: paid_cents}, seeing=seeing, accounts=accounts
    )
    mail = read(a_due_letter(fact, *known, asked=asked), circumstances)
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert html is not None
    return (
        NO_BREAK.sub(" ", mail["Subject"]),
        NO_BREAK.sub(" ", plain.get_content()).replace("\r\n", "\n"),
        NO_BREAK.sub(" ", html.get_content()).replace("\r\n", "\n"),
    )


def test_announces_an_invoice_with_amount_due_date_and_one_button() -> None:
    """All that a payer needs, in both forms."""
    subject, plain, html = texts(a_publication())

    assert subject == "Facture n° 2026-0042 – Restaurant scolaire – Commune de Saint-Aubin"
    for words in (
        "Bonjour Camille Martin,",
        "Repas d’octobre",
        "42,50 €",
        "15 décembre 2026",
        "Restaurant scolaire",
        "Voir et payer ma facture",
        LINK,
        "jusqu’au 22 février 2027",
    ):
        assert words in plain
        assert words in Page(html).words
    assert Page(html).links == [LINK]


@pytest.mark.parametrize("fact", EVERY_FACT, ids=lambda fact: fact.kind)
def test_makes_pages_that_everybody_can_read(fact: InvoiceFact) -> None:
    """Language, one heading, row headings, nothing loaded from elsewhere (RGAA 8.3, 9.1, 5.7)."""
    _, _, html = texts(fact, paid_cents=42_50 if fact.kind == "receipt" else 0)
    page = Page(html)

    assert ("html", "lang", "fr") in page.attributes
    assert page.tags.count("h1") == 1
    assert page.tags.count("th") == page.tags.count("tr")
    assert set(page.tags).isdisjoint({"img", "script", "link", "style", "iframe", "form"})
    assert "url(" not in html
    assert all(link.startswith("https://factures.exemple.test/") for link in page.links)


@pytest.mark.parametrize("fact", EVERY_FACT, ids=lambda fact: fact.kind)
def test_says_how_to_check_the_sender_and_how_to_stop(fact: InvoiceFact) -> None:
    """A reader must be able to tell it from a fraud, without clicking."""
    _, plain, html = texts(fact)

    for words in (
        "commencent tous par https://factures.exemple.test/",
        "tapez vous-même l’adresse factures.exemple.test",
        "Pour ne plus recevoir de courriel",
    ):
        assert words in plain
        assert words in Page(html).words
    assert "<" not in plain
    assert "\n\n\n\n" not in plain


def test_says_that_a_new_version_replaces_the_old_one() -> None:
    """The paper in the reader's hands is no longer right."""
    subject, plain, html = texts(a_publication(2), a_published_invoice(version=2))

    assert subject.startswith("Facture remplacée : n° 2026-0042")
    assert "remplace celle que vous avez pu recevoir" in plain
    assert "remplace celle que vous avez pu recevoir" in html


def test_asks_for_no_payment_of_a_credit_note() -> None:
    """An avoir is money in the reader's favour."""
    subject, plain, html = texts(a_publication(), a_published_invoice(kind="credit_note"))

    assert subject.startswith("Avoir n° 2026-0042")
    for text in (plain, html):
        assert "Vous n’avez rien à payer" in text
        assert "Voir mon avoir" in text
        assert "À payer au plus tard" not in text
        assert "payer ma facture" not in text


def test_asks_for_no_payment_of_a_paid_invoice() -> None:
    """The announcement may leave after the payment."""
    _, plain, html = texts(a_publication(), paid_cents=42_50)

    for text in (plain, html):
        assert "cette facture est réglée" in text
        assert "payer ma facture" not in text


def test_says_what_remains_of_a_partly_paid_invoice() -> None:
    """The amount to pay is never more than what is owed."""
    _, plain, _ = texts(a_publication(), paid_cents=2_50)

    assert "Montant : 42,50 €" in plain
    assert "Reste à payer : 40,00 €" in plain


def test_confirms_a_payment_with_means_paris_time_and_reference() -> None:
    """What a reader keeps as proof."""
    subject, plain, html = texts(receipt_of(a_captured_payment(), TRACE), paid_cents=42_50)

    assert subject == "Confirmation de votre paiement de 42,50 € – Commune de Saint-Aubin"
    for words in (
        "confirmation de paiement",
        "carte bancaire",
        "24 novembre 2026 à 14 h 05",
        "TX-900123",
        "cette facture est réglée",
    ):
        assert words in plain
        assert words in Page(html).words


def test_keeps_a_cheque_subject_to_its_being_honoured() -> None:
    """A cheque handed over is not money yet."""
    _, plain, html = texts(receipt_of(a_captured_payment(means="cheque"), TRACE))

    assert "sous réserve de l’encaissement du chèque" in plain
    assert "sous réserve de l’encaissement du chèque" in html


def test_lists_every_invoice_of_a_payment() -> None:
    """One confirmation, a table and a link for each."""
    payment = a_captured_payment(an_allocation(), an_allocation(OTHER_INVOICE_ID, 10_00))
    other = a_published_invoice(
        invoice_id=OTHER_INVOICE_ID, number="2026-0043", amount_cents=12_00, token="z" * 22
    )

    _, plain, html = texts(
        receipt_of(payment, TRACE), a_published_invoice(), other, paid_cents=42_50
    )

    assert "Montant payé : 52,50 €" in plain
    assert "Réglé par ce paiement : 10,00 €" in plain
    assert "Reste à payer : 12,00 €" in plain
    assert Page(html).links == [LINK, "https://factures.exemple.test/q/" + "z" * 22]


def test_does_not_greet_who_pays_for_another_by_the_others_name() -> None:
    """The receipt goes to an address given at the moment of payment."""
    payment = a_captured_payment(receipt_email="tante@exemple.test")

    _, plain, html = texts(receipt_of(payment, TRACE))

    assert "Bonjour,\n" in plain
    assert "Camille" not in plain + html
    assert "/compte" not in plain + html


PAID_BY_SACHA: tuple[InvoiceFact, ...] = (
    receipt_of(a_captured_payment(receipt_email=VIEWER), TRACE),
    reversal_of(a_reversed_payment(), TRACE),
)


@pytest.mark.parametrize("fact", PAID_BY_SACHA, ids=lambda fact: fact.kind)
@pytest.mark.parametrize(
    ("accounts", "links"),
    [((), []), ((VIEWER,), ["https://factures.exemple.test/factures"])],
)
def test_opens_no_invoice_to_who_only_paid_it(
    fact: InvoiceFact, accounts: Collection[str], links: list[str]
) -> None:
    """Who may pay but not see gets neither the link that opens it nor the number that finds it."""
    payer_has_no_address = a_published_invoice(email=None)

    subject, plain, html = texts(fact, payer_has_no_address, asked=VIEWER, accounts=accounts)

    assert "42,50 €" in subject
    assert "Commune de Saint-Aubin" in subject
    for text in (plain, html):
        assert TOKEN not in text
        assert str(INVOICE_ID) not in text
        assert "2026-0042" not in text
        for words in ("Repas d’octobre", "42,50 €", "24 novembre 2026 à 14 h 05", "TX-90012"):
            assert words in text
    assert Page(html).links == links
    assert [line for line in plain.splitlines() if line.startswith("https://")] == links


@pytest.mark.parametrize("fact", PAID_BY_SACHA, ids=lambda fact: fact.kind)
def test_opens_in_the_account_what_the_account_of_who_paid_sees(fact: InvoiceFact) -> None:
    """There it opens for as long as it is seen."""
    _, plain, html = texts(
        fact,
        a_published_invoice(email=None),
        asked=VIEWER,
        seeing=[(VIEWER, INVOICE_ID)],
        accounts=[VIEWER],
    )

    assert Page(html).links == [f"https://factures.exemple.test/factures/{INVOICE_ID}"]
    for text in (plain, html):
        assert TOKEN not in text
        assert "Facture n° 2026-0042" in text


def test_opens_of_several_invoices_only_those_that_the_reader_may_see() -> None:
    """Whoever pays their own with another's gets the key to their own."""
    own = "camille.martin@exemple.test"
    payment = a_captured_payment(
        an_allocation(), an_allocation(OTHER_INVOICE_ID, 10_00), receipt_email=own
    )
    other = a_published_invoice(
        invoice_id=OTHER_INVOICE_ID, number="2026-0043", email="dupont@exemple.test", token="z" * 22
    )

    _, plain, html = texts(receipt_of(payment, TRACE), a_published_invoice(), other, accounts=[own])

    assert Page(html).links == [LINK, "https://factures.exemple.test/factures"]
    for text in (plain, html):
        assert "2026-0042" in text
        assert "10,00 €" in text
        assert "z" * 22 not in text
        assert "2026-0043" not in text


@pytest.mark.parametrize(
    ("cause", "title"),
    [
        ("refund", "Un paiement est remboursé"),
        ("chargeback", "Un paiement est repris par la banque"),
        ("cancelled", "Un paiement est annulé"),
    ],
)
def test_explains_each_cause_of_a_reversal(cause: str, title: str) -> None:
    """The invoice is owed again, and the button says so."""
    _, plain, html = texts(reversal_of(a_reversed_payment(cause=cause), TRACE))

    assert title in html
    assert "Reste à payer : 42,50 €" in plain
    assert "Voir et payer la facture" in html


def test_owes_nothing_again_after_an_overpayment_is_refunded() -> None:
    """Paid twice, refunded once: still paid."""
    _, plain, html = texts(reversal_of(a_reversed_payment(), TRACE), paid_cents=42_50)

    assert "Reste à payer : rien" in plain
    assert "Voir et payer" not in html


def test_reminds_courteously_and_of_no_more_than_is_owed() -> None:
    """The books decided on 42,50 €; 30,00 € came in since."""
    subject, plain, html = texts(reminder_of(a_reminder(), TRACE), paid_cents=30_00)

    assert subject.startswith("Rappel : facture n° 2026-0042")
    for words in ("Sauf erreur de notre part", "Si vous avez déjà payé", "12,50 €"):
        assert words in plain
        assert words in Page(html).words
    assert "42,50" not in plain


def test_numbers_the_later_reminders() -> None:
    """A second one says that it is the second."""
    subject, plain, _ = texts(reminder_of(a_reminder(level=2), TRACE))

    assert subject.startswith("Rappel n° 2 : facture n° 2026-0042")
    assert "Malgré notre rappel précédent" in plain


@pytest.mark.parametrize("fact", EVERY_FACT, ids=lambda fact: fact.kind)
def test_shows_hostile_names_as_text(fact: InvoiceFact) -> None:
    """Neither markup nor template code from a name is ever run (ASVS 1.3.7)."""
    name = 'Zoé <script>alert("x")</script> {{ 7 * 7 }} {% include "x" %}'
    invoice = a_published_invoice(
        payer_name=name,
        authority_name="Ville <b>d’Évry</b>",
        regie_label="<i>Cantine</i>",
        subject="<img src=x>",
    )

    _, plain, html = texts(fact, invoice)
    page = Page(html)

    for words in (name, "Ville <b>d’Évry</b> a votre adresse", "<i>Cantine</i>", "<img src=x>"):
        assert words in plain
        assert words in page.words
    assert set(page.tags).isdisjoint({"script", "b", "i", "img"})


def test_lets_no_name_break_a_header() -> None:
    """A line break in a name stays inside its header, as a space."""
    invoice = a_published_invoice(
        authority_name="Ville\r\nBcc: autre@exemple.test", number="1\nX-Evil: oui"
    )

    mail = read(a_due_letter(a_publication(), invoice), circumstances_of(invoice))

    assert mail["Bcc"] is None
    assert mail["X-Evil"] is None
    assert mail["From"].addresses[0].display_name == "Ville Bcc: autre@exemple.test"


# No deadline: the first example compiles the templates.
@settings(max_examples=60, deadline=None)
@given(name=st.text(min_size=1, max_size=200), subject=st.text(min_size=1, max_size=200))
def test_writes_a_sound_mail_whatever_the_names_are(name: str, subject: str) -> None:
    """The sender's address and the list of headers never change."""
    invoice = a_published_invoice(authority_name=name, number=subject, payer_name=name)

    mail = read(a_due_letter(a_publication(), invoice), circumstances_of(invoice))

    assert [address.addr_spec for address in mail["From"].addresses] == [
        "ne-pas-repondre@exemple.test"
    ]
    assert sorted(mail.keys()) == [
        "Auto-Submitted",
        "Content-Type",
        "Date",
        "From",
        "MIME-Version",
        "Message-ID",
        "Subject",
        "To",
    ]


def test_signs_with_the_authority_or_with_the_name_that_is_set() -> None:
    """The authority's name with its accents, unless an operator wants another."""
    invoice = a_published_invoice(authority_name="Mairie, Ville de L’Haÿ & Cie")
    due, now = a_due_letter(a_publication(), invoice), circumstances_of(invoice)

    assert read(due, now)["From"].addresses[0].display_name == "Mairie, Ville de L’Haÿ & Cie"
    assert read(due, now, "Factures")["From"].addresses[0].display_name == "Factures"


def test_writes_the_same_bytes_again_within_the_limits_of_smtp() -> None:
    """A repeated mail is the same mail: Message-ID, date and boundary do not change."""
    invoice = a_published_invoice()
    due, now = a_due_letter(a_publication(), invoice), circumstances_of(invoice)

    content = a_writer().write(due, now).content

    assert a_writer().write(due, now).content == content
    assert f"Message-ID: <{due.letter.message_id}@exemple.test>\r\n".encode() in content
    assert b"Auto-Submitted: auto-generated\r\n" in content
    assert content.isascii()
    assert b"\n" not in content.replace(b"\r\n", b"")
    assert max(len(line) for line in content.split(b"\r\n")) <= 78


def test_refuses_an_address_that_no_header_can_carry() -> None:
    """The last check before the mail server."""
    invoice = a_published_invoice(email="pas une adresse")

    with pytest.raises(UnwritableError):
        a_writer().write(a_due_letter(a_publication(), invoice), circumstances_of(invoice))
