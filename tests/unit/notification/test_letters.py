"""Who is written to, and what keeps a letter from leaving."""

from datetime import timedelta

import msgspec
from msgspec.structs import replace

from notification.domain import (
    RETRY_DELAYS,
    Invoice,
    InvoiceFact,
    SkipReason,
    State,
    fingerprint,
    is_ready,
    letters_for,
    next_attempt,
    parts_of,
    reason_to_skip,
    receipt_of,
    reminder_of,
    reversal_of,
)
from shared.events.contact_updated import Choice
from tests.unit.notification.notification_builders import (
    INVOICE_ID,
    NOW,
    OTHER_INVOICE_ID,
    PAYMENT_ID,
    TRACE,
    a_captured_payment,
    a_due_letter,
    a_publication,
    a_published_invoice,
    a_reminder,
    a_reversed_payment,
    an_allocation,
    circumstances_of,
)


def test_gives_the_same_letter_the_same_id_for_ever() -> None:
    """The id makes the Message-ID: a mail repeated after a crash can be recognised."""
    invoice = a_published_invoice()

    first = a_due_letter(a_publication(), invoice).letter
    again = a_due_letter(a_publication(), invoice).letter
    other = a_due_letter(a_publication(version=2), invoice).letter

    assert first.message_id == again.message_id
    assert first.message_id != other.message_id


def test_writes_to_nobody_when_the_invoice_has_no_address() -> None:
    """That invoice goes on paper."""
    invoices = {INVOICE_ID: Invoice.of(a_published_invoice(email=None))}
    facts: tuple[InvoiceFact, ...] = (
        a_publication(),
        receipt_of(a_captured_payment(), TRACE),
        reminder_of(a_reminder(), TRACE),
        reversal_of(a_reversed_payment(), TRACE),
    )

    assert [letters_for(fact, invoices, {PAYMENT_ID: None}) for fact in facts] == [[], [], [], []]


def test_keeps_a_letter_to_a_wrong_address_where_it_can_be_seen() -> None:
    """Somebody must correct the address; nothing is ever sent to it."""
    invoice = a_published_invoice(email="camille@exemple.test\r\nBcc: autre@exemple.test")

    letter = a_due_letter(a_publication(), invoice).letter

    assert (letter.state, letter.reason) == (State.REFUSED, "invalid-address")
    assert letter.address == "camille@exemple.test Bcc: autre@exemple.test"


def test_sends_the_receipt_where_the_payer_asked() -> None:
    """Whoever pays for another gets the receipt, not the other."""
    fact = receipt_of(a_captured_payment(receipt_email="tante@exemple.test"), TRACE)

    assert a_due_letter(fact, a_published_invoice()).letter.address == "tante@exemple.test"


def test_writes_one_receipt_for_several_invoices_of_one_address() -> None:
    """One payment, one confirmation."""
    payment = a_captured_payment(an_allocation(), an_allocation(OTHER_INVOICE_ID, 10_00))
    other = a_published_invoice(invoice_id=OTHER_INVOICE_ID, email="Camille.Martin@exemple.test")
    invoices = {
        INVOICE_ID: Invoice.of(a_published_invoice()),
        OTHER_INVOICE_ID: Invoice.of(
            msgspec.structs.replace(
                other,
                payer=msgspec.structs.replace(other.payer, email="camille.martin@exemple.test"),
            )
        ),
    }

    (letter,) = letters_for(receipt_of(payment, TRACE), invoices, {})

    assert letter.fact.invoice_ids == (INVOICE_ID, OTHER_INVOICE_ID)


def test_shows_each_of_two_payers_only_what_concerns_them() -> None:
    """One payment for two families' invoices tells neither about the other."""
    payment = a_captured_payment(an_allocation(), an_allocation(OTHER_INVOICE_ID, 10_00))
    invoices = {
        INVOICE_ID: Invoice.of(a_published_invoice()),
        OTHER_INVOICE_ID: Invoice.of(
            a_published_invoice(invoice_id=OTHER_INVOICE_ID, email="dupont@exemple.test")
        ),
    }

    letters = letters_for(receipt_of(payment, TRACE), invoices, {})

    assert {letter.address: letter.fact.invoice_ids for letter in letters} == {
        "camille.martin@exemple.test": (INVOICE_ID,),
        "dupont@exemple.test": (OTHER_INVOICE_ID,),
    }


def test_tells_a_reversal_to_who_paid_and_to_who_owes_again() -> None:
    """Money goes back to the first, the debt to the second."""
    invoices = {INVOICE_ID: Invoice.of(a_published_invoice())}
    fact = reversal_of(a_reversed_payment(), TRACE)

    letters = letters_for(fact, invoices, {PAYMENT_ID: "tante@exemple.test"})

    assert {letter.address for letter in letters} == {
        "camille.martin@exemple.test",
        "tante@exemple.test",
    }


def test_adds_up_several_allocations_to_one_invoice() -> None:
    """A payment tells each invoice once."""
    parts = parts_of([an_allocation(amount_cents=1), an_allocation(amount_cents=2)])

    assert [(part.invoice_id, part.amount_cents) for part in parts] == [(INVOICE_ID, 3)]


def test_waits_for_the_version_that_a_reminder_is_about() -> None:
    """A reminder may overtake the new version: its amount would not match the text."""
    invoices = {INVOICE_ID: Invoice.of(a_published_invoice(version=1))}

    assert not is_ready(reminder_of(a_reminder(version=2), TRACE), invoices, {})
    assert is_ready(reminder_of(a_reminder(version=1), TRACE), invoices, {})


def test_sends_no_reminder_of_a_paid_invoice() -> None:
    """The payment may have come between the decision and the mail."""
    due = a_due_letter(reminder_of(a_reminder(), TRACE), a_published_invoice())
    paid = circumstances_of(a_published_invoice(), paid_cents={INVOICE_ID: 42_50})
    partly = circumstances_of(a_published_invoice(), paid_cents={INVOICE_ID: 42_49})

    assert reason_to_skip(due.letter, paid, NOW) is SkipReason.PAID
    assert reason_to_skip(due.letter, partly, NOW) is None


def test_sends_nothing_about_a_version_that_was_replaced() -> None:
    """Neither its announcement nor its reminder means anything any more."""
    now = circumstances_of(a_published_invoice(version=2))
    announcement = a_due_letter(a_publication(1), a_published_invoice())
    reminder = a_due_letter(reminder_of(a_reminder(), TRACE), a_published_invoice())

    assert reason_to_skip(announcement.letter, now, NOW) is SkipReason.SUPERSEDED
    assert reason_to_skip(reminder.letter, now, NOW) is SkipReason.SUPERSEDED


def test_still_announces_an_invoice_that_is_already_paid() -> None:
    """The document is worth reading; the text says that nothing is owed."""
    due = a_due_letter(a_publication(), a_published_invoice())
    paid = circumstances_of(a_published_invoice(), paid_cents={INVOICE_ID: 42_50})

    assert reason_to_skip(due.letter, paid, NOW) is None


def test_honours_the_wish_for_no_mail_except_a_receipt_asked_for() -> None:
    """Asking for a receipt at the moment of payment is the later and clearer wish."""
    invoice = a_published_invoice()
    asked = receipt_of(a_captured_payment(receipt_email="Camille.Martin@exemple.test"), TRACE)
    unwanted = circumstances_of(invoice, unwanted=["camille.martin@exemple.test"])

    def reason(fact: InvoiceFact) -> SkipReason | None:
        return reason_to_skip(a_due_letter(fact, invoice).letter, unwanted, NOW)

    assert reason(a_publication()) is SkipReason.UNWANTED
    assert reason(receipt_of(a_captured_payment(), TRACE)) is SkipReason.UNWANTED
    assert reason(asked) is None


def test_tries_again_from_one_minute_to_one_day_and_then_stops() -> None:
    """The ladder of delays is climbed once."""
    delays = [next_attempt(failures, NOW) for failures in range(1, len(RETRY_DELAYS) + 2)]

    assert delays[0] == NOW + timedelta(minutes=1)
    assert delays[-2] == NOW + timedelta(hours=24)
    assert delays[-1] is None
    assert list(RETRY_DELAYS) == sorted(RETRY_DELAYS)


def test_honours_what_was_chosen_for_an_authority_at_a_proven_address() -> None:
    """E5: channel, event and authority; money that goes back is no matter of choice."""
    invoice = a_published_invoice()
    address_hash = fingerprint("camille.martin@exemple.test")
    choices = (
        Choice(event="invoice", channel="email", authority="saint-aubin", wanted=False),
        Choice(event="reminder", channel="email", authority="val-de-brume", wanted=False),
        Choice(event="receipt", channel="email", wanted=False),
    )
    chosen = replace(circumstances_of(invoice), choices={address_hash: choices})
    asked = receipt_of(a_captured_payment(receipt_email="Camille.Martin@exemple.test"), TRACE)

    def reason(fact: InvoiceFact) -> SkipReason | None:
        return reason_to_skip(a_due_letter(fact, invoice).letter, chosen, NOW)

    assert reason(a_publication()) is SkipReason.UNWANTED
    assert reason(reminder_of(a_reminder(), TRACE)) is None
    assert reason(receipt_of(a_captured_payment(), TRACE)) is SkipReason.UNWANTED
    assert reason(asked) is None
    assert reason(reversal_of(a_reversed_payment(), TRACE)) is None
