"""Facts arrive once, twice, late and in any order."""

from itertools import permutations

import pytest

from notification.handlers.on_contact_updated import on_contact_updated
from notification.handlers.on_invoice_appeared import on_invoice_appeared
from notification.handlers.on_invoice_published import on_invoice_published
from notification.handlers.on_letter_due import on_letter_due
from notification.handlers.on_payment_captured import on_payment_captured
from notification.handlers.on_payment_reversed import on_payment_reversed
from notification.handlers.on_reminder_due import on_reminder_due
from shared.events import (
    ContactUpdated,
    Event,
    InvoiceAppeared,
    InvoicePublished,
    LetterDue,
    PaymentCaptured,
    PaymentReversed,
    ReminderDue,
)
from tests.unit.notification.fake_office import FakeOffice
from tests.unit.notification.notification_builders import (
    INVOICE_ID,
    LETTER_ID,
    NOW,
    OTHER_INVOICE_ID,
    PAYMENT_ID,
    SECRET,
    VIEWER,
    a_captured_payment,
    a_contact,
    a_device,
    a_letter_due,
    a_message,
    a_published_invoice,
    a_reminder,
    a_reversed_payment,
    an_allocation,
    an_appearance,
)

PAYER = "camille.martin@exemple.test"


async def deliver(office: FakeOffice, *events: Event) -> None:
    """Hand each event to its handler, in this order."""
    for event in events:
        match event:
            case InvoicePublished():
                await on_invoice_published([a_message(event)], office)
            case PaymentCaptured():
                await on_payment_captured([a_message(event)], office)
            case PaymentReversed():
                await on_payment_reversed([a_message(event)], office)
            case ReminderDue():
                await on_reminder_due([a_message(event)], office)
            case InvoiceAppeared():
                await on_invoice_appeared([a_message(event)], office)
            case ContactUpdated():
                await on_contact_updated([a_message(event)], office)
            case LetterDue():
                await on_letter_due([a_message(event)], office)
            case _:
                pytest.fail(f"no handler for {event.TYPE}")


@pytest.mark.asyncio
async def test_tells_the_payer_of_a_published_invoice() -> None:
    """One letter, to the address on the invoice."""
    office = FakeOffice()

    await deliver(office, a_published_invoice())

    assert office.told() == [("invoice_published", PAYER)]


@pytest.mark.asyncio
async def test_tells_a_fact_once_when_it_is_delivered_twice() -> None:
    """Even under another message id, as after a replay that the inbox has forgotten."""
    office = FakeOffice()
    events = (a_published_invoice(), a_captured_payment(), a_reversed_payment(), a_reminder())

    await deliver(office, *events)
    once = dict(office.letters), dict(office.movements)
    await deliver(office, *events)

    assert (office.letters, office.movements) == once
    assert len(office.letters) == 4
    assert office.aside == {}


@pytest.mark.asyncio
@pytest.mark.parametrize("order", list(permutations(range(4))))
async def test_tells_the_same_in_whatever_order_topics_are_read(order: tuple[int, ...]) -> None:
    """Topics are not ordered against each other."""
    office = FakeOffice()
    events = (
        a_published_invoice(),
        a_captured_payment(receipt_email="tante@exemple.test"),
        a_reversed_payment(),
        a_reminder(),
    )

    await deliver(office, *(events[rank] for rank in order))

    assert office.told() == [
        ("invoice_published", PAYER),
        ("receipt", "tante@exemple.test"),
        ("reminder", PAYER),
        ("reversal", PAYER),
        ("reversal", "tante@exemple.test"),
    ]
    assert office.aside == {}


@pytest.mark.asyncio
async def test_waits_for_every_invoice_of_a_payment() -> None:
    """A receipt that names two invoices needs both."""
    office = FakeOffice()
    payment = a_captured_payment(an_allocation(), an_allocation(OTHER_INVOICE_ID, 10_00))

    await deliver(office, payment, a_published_invoice(email=None))
    early = office.told()
    await deliver(office, a_published_invoice(invoice_id=OTHER_INVOICE_ID))

    assert early == []
    assert office.told() == [("invoice_published", PAYER), ("receipt", PAYER)]
    assert office.aside == {}


@pytest.mark.asyncio
async def test_tells_only_the_highest_version_of_one_batch() -> None:
    """Two versions met together are one piece of news."""
    office = FakeOffice()

    await on_invoice_published(
        [
            a_message(a_published_invoice(version=1)),
            a_message(a_published_invoice(version=2, amount_cents=50_00)),
        ],
        office,
    )

    assert [letter.fact.key for letter in office.letters.values()] == [f"{INVOICE_ID}/2"]
    assert office.known[INVOICE_ID].amount_cents == 50_00


@pytest.mark.asyncio
async def test_leaves_an_older_version_that_comes_late_alone() -> None:
    """A replay from the start meets version 1 after version 2."""
    office = FakeOffice()

    await deliver(office, a_published_invoice(version=2), a_published_invoice(version=1))

    assert office.known[INVOICE_ID].version == 2
    assert len(office.letters) == 1


@pytest.mark.asyncio
async def test_counts_money_that_comes_and_goes() -> None:
    """A reversal takes back exactly what the payment brought."""
    office = FakeOffice()

    await deliver(
        office,
        a_published_invoice(),
        a_captured_payment(),
        a_reversed_payment(an_allocation(amount_cents=10_00)),
    )

    assert sum(movement.amount_cents for movement in office.movements.values()) == 32_50
    assert {movement.payment_id for movement in office.movements.values()} == {PAYMENT_ID}


@pytest.mark.asyncio
async def test_applies_a_wish_to_the_addresses_an_account_had_before() -> None:
    """The billing application may still hold the old address."""
    office = FakeOffice()
    later = NOW.replace(hour=20)

    await on_contact_updated(
        [
            a_message(a_contact("ancienne@exemple.test", wants_email=True)),
            a_message(a_contact("nouvelle@exemple.test", wants_email=False, updated_at=later)),
        ],
        office,
    )

    assert office.unwanted("ancienne@exemple.test")
    assert office.unwanted("Nouvelle@exemple.test")


@pytest.mark.asyncio
async def test_keeps_the_last_wish_of_a_closed_account() -> None:
    """Closing an account asks for no mail."""
    office = FakeOffice()

    await on_contact_updated([a_message(a_contact(PAYER))], office)
    await on_contact_updated(
        [a_message(a_contact(None, wants_email=True, updated_at=NOW.replace(hour=20)))], office
    )

    assert office.unwanted(PAYER)


@pytest.mark.asyncio
@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_tells_an_account_in_whatever_order_its_facts_come(order: tuple[int, ...]) -> None:
    """The invoice, its appearance in the account and the account's address race each other."""
    office = FakeOffice()
    office.telephones = [a_device()]
    events = (
        a_published_invoice(),
        an_appearance(),
        a_contact(VIEWER, wants_email=True),
    )

    await deliver(office, *(events[rank] for rank in order))

    assert office.told() == [("invoice_published", PAYER), ("invoice_published", VIEWER)]
    assert [push.fact_key for push in office.pushes.values()] == [f"{INVOICE_ID}/1"]
    assert office.aside == {}


@pytest.mark.asyncio
async def test_writes_once_to_an_account_that_has_the_payer_s_address() -> None:
    """The invoice's own mail already goes there, however its letters are written."""
    office = FakeOffice()

    await deliver(
        office,
        a_contact("Camille.MARTIN@exemple.test", wants_email=True),
        a_published_invoice(),
        an_appearance(),
        a_captured_payment(),
        a_reminder(),
    )

    assert [kind for kind, _ in office.told()] == ["invoice_published", "receipt", "reminder"]


@pytest.mark.asyncio
async def test_pushes_to_an_account_without_an_address() -> None:
    """FranceConnect opened it: the telephone is all there is."""
    office = FakeOffice()
    office.telephones = [a_device(1), a_device(2)]

    await deliver(office, a_published_invoice(), an_appearance())

    assert office.told() == [("invoice_published", PAYER)]
    assert [push.device_id for push in office.pushes.values()] == [
        a_device(1).device_id,
        a_device(2).device_id,
    ]


@pytest.mark.asyncio
async def test_tells_viewers_of_reminders_and_receipts() -> None:
    """By mail and by push, each once, and of no invoice that they do not see."""
    office = FakeOffice()
    office.telephones = [a_device()]
    both = a_captured_payment(an_allocation(), an_allocation(OTHER_INVOICE_ID, 10_00))

    await deliver(
        office,
        a_contact(VIEWER, wants_email=True),
        a_published_invoice(),
        a_published_invoice(invoice_id=OTHER_INVOICE_ID, email="dupont@exemple.test"),
        an_appearance(),
        both,
        a_reminder(),
    )

    receipts = {
        letter.address: letter.fact.invoice_ids
        for letter in office.letters.values()
        if letter.fact.kind == "receipt"
    }
    assert receipts[VIEWER] == (INVOICE_ID,)
    assert ("reminder", VIEWER) in office.told()
    assert [push.kind for push in office.pushes.values()] == ["invoice", "receipt", "reminder"]


@pytest.mark.asyncio
async def test_an_account_that_is_closed_is_told_nothing_more() -> None:
    """Nor does a fact that is read again afterwards bring it back."""
    office = FakeOffice()
    office.telephones = [a_device()]
    await deliver(office, a_contact(VIEWER, wants_email=True), a_published_invoice())

    await deliver(office, a_contact(None, updated_at=NOW.replace(hour=20)))
    await deliver(office, an_appearance(), a_captured_payment(), a_reminder())

    assert {address for _, address in office.told()} == {PAYER}
    assert office.pushes == {}
    assert office.views == {}
    assert office.aside == {}


@pytest.mark.asyncio
async def test_a_letter_about_an_account_waits_for_nothing() -> None:
    """And is written once for each of its ids."""
    office = FakeOffice()

    await deliver(office, a_letter_due(), a_letter_due())

    [letter] = office.letters.values()
    assert (letter.address, letter.fact.kind, letter.fact.key) == (
        VIEWER,
        "account",
        str(LETTER_ID),
    )
    assert SECRET in str(letter.fact)
