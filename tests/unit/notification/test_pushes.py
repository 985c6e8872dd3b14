"""What is pushed, what keeps it back, and what a push service's answer means."""

import json
import re
from datetime import timedelta
from uuid import UUID

import msgspec
import pytest

from notification.domain import (
    RETRY_DELAYS,
    Appearance,
    Contact,
    Device,
    Invoice,
    Push,
    PushCircumstances,
    PushOutcome,
    SkipReason,
    Wishes,
    content_of,
    held_until,
    next_push_attempt,
    outcome_of,
    pause_of,
    pushes_for,
    reason_to_skip_push,
    receipt_of,
    reminder_of,
    trial_push,
)
from shared.events.contact_updated import Choice
from tests.unit.notification.notification_builders import (
    ACCOUNT_ID,
    INVOICE_ID,
    NOW,
    OTHER_ACCOUNT_ID,
    OTHER_INVOICE_ID,
    TRACE,
    VIEWER,
    a_captured_payment,
    a_device,
    a_published_invoice,
    a_push,
    a_reminder,
    an_allocation,
)

INVOICES = {
    INVOICE_ID: Invoice.of(a_published_invoice()),
    OTHER_INVOICE_ID: Invoice.of(a_published_invoice(invoice_id=OTHER_INVOICE_ID)),
}


def known(
    *choices: Choice,
    device: Device | None = None,
    version: int = 1,
    paid_cents: int = 0,
    quiet: tuple[str, str] | None = None,
    is_seen: bool = True,
) -> PushCircumstances:
    """Return what is known of Sacha, of a telephone and of the canteen invoice."""
    device = device or a_device()
    quiet_from, quiet_until = quiet or (None, None)
    wishes = Wishes(choices=choices, quiet_from=quiet_from, quiet_until=quiet_until)
    return PushCircumstances(
        invoices={INVOICE_ID: Invoice.of(a_published_invoice(version=version))},
        paid_cents={INVOICE_ID: paid_cents},
        devices={device.name: device},
        contacts={ACCOUNT_ID: Contact(account_id=ACCOUNT_ID, email=VIEWER, wishes=wishes)},
        seen=frozenset([(INVOICE_ID, ACCOUNT_ID)] if is_seen else []),
    )


def a_reminding_push() -> Push:
    (push,) = pushes_for(
        reminder_of(a_reminder(), TRACE), INVOICES, {INVOICE_ID: [ACCOUNT_ID]}, [a_device()]
    )
    return push


def test_names_no_person_no_amount_and_no_authority() -> None:
    """E4: what is shown on a locked screen, and passes through others' hands, says nothing."""
    content = json.loads(content_of(a_push(), a_device(language="en")))

    assert content == {
        "kind": "invoice",
        "url": f"/factures/{INVOICE_ID}",
        "tag": a_push().topic,
        "language": "en",
    }


def test_a_later_version_has_the_topic_of_the_earlier_one() -> None:
    """RFC 8030, 5.4: a telephone that was off shows the last one only; the topic tells nothing."""
    first, second = a_push(version=1), a_push(version=2)

    assert first.push_id != second.push_id
    assert first.topic == second.topic
    assert first.topic != a_reminding_push().topic
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,32}", first.topic)
    assert str(INVOICE_ID)[:8] not in first.topic


def test_each_account_is_pushed_what_it_sees_of_a_payment() -> None:
    """A payment of two invoices, each seen by another account, leads each to its own."""
    payment = a_captured_payment(an_allocation(), an_allocation(OTHER_INVOICE_ID, 10_00))
    viewers = {INVOICE_ID: [ACCOUNT_ID], OTHER_INVOICE_ID: [OTHER_ACCOUNT_ID]}
    devices = [a_device(1), a_device(2, account_id=OTHER_ACCOUNT_ID)]

    pushes = pushes_for(receipt_of(payment, TRACE), INVOICES, viewers, devices)

    assert {push.account_id: push.path for push in pushes} == {
        ACCOUNT_ID: f"/factures/{INVOICE_ID}",
        OTHER_ACCOUNT_ID: f"/factures/{OTHER_INVOICE_ID}",
    }
    assert {push.kind for push in pushes} == {"receipt"}


def test_nobody_else_s_telephone_rings() -> None:
    """Devices of accounts that do not see the invoice are left alone."""
    fact = Appearance(
        traceparent=TRACE, invoice_id=INVOICE_ID, version=1, account_id=OTHER_ACCOUNT_ID
    )

    assert pushes_for(fact, INVOICES, {}, [a_device()]) == []


@pytest.mark.parametrize(
    ("push", "circumstances", "reason"),
    [
        (a_push(), known(), None),
        (a_push(), known(device=a_device(7)), SkipReason.NO_DEVICE),
        (a_push(), known(version=2), SkipReason.SUPERSEDED),
        (a_push(), known(paid_cents=42_50), None),
        (a_reminding_push(), known(paid_cents=42_50), SkipReason.PAID),
        (a_reminding_push(), known(paid_cents=42_49), None),
        (
            a_push(),
            known(Choice(event="invoice", channel="push", wanted=False)),
            SkipReason.UNWANTED,
        ),
        (a_push(), known(Choice(event="invoice", channel="email", wanted=False)), None),
        (
            trial_push(a_device(), "1", TRACE),
            known(Choice(event="invoice", channel="push", wanted=False)),
            None,
        ),
        (trial_push(a_device(), "1", TRACE), known(device=a_device(7)), SkipReason.NO_DEVICE),
        (a_push(), known(is_seen=False), SkipReason.DISAPPEARED),
        (a_reminding_push(), known(is_seen=False), SkipReason.DISAPPEARED),
        (trial_push(a_device(), "1", TRACE), known(is_seen=False), None),
    ],
)
def test_leaves_only_while_it_is_true_and_wanted(
    push: Push, circumstances: PushCircumstances, reason: SkipReason | None
) -> None:
    """Looked at when it leaves, not when it was written."""
    assert reason == reason_to_skip_push(push, circumstances)


def test_is_held_until_the_quiet_hours_end_but_for_a_trial() -> None:
    """NOW is 14:05 in Paris; who tries a telephone wants it to ring."""
    circumstances = known(quiet=("14:00", "16:00"))

    held = held_until(a_push(), circumstances, NOW)

    assert held == NOW + timedelta(hours=1, minutes=55)
    assert held_until(trial_push(a_device(), "1", TRACE), circumstances, NOW) is None
    assert held_until(a_push(), known(), NOW) is None


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, PushOutcome.SENT),
        (201, PushOutcome.SENT),
        (202, PushOutcome.SENT),
        (301, PushOutcome.REFUSED),
        (400, PushOutcome.REFUSED),
        (401, PushOutcome.PUT_OFF),
        (403, PushOutcome.PUT_OFF),
        (404, PushOutcome.GONE),
        (408, PushOutcome.BUSY),
        (410, PushOutcome.GONE),
        (413, PushOutcome.REFUSED),
        (429, PushOutcome.BUSY),
        (500, PushOutcome.BUSY),
        (503, PushOutcome.BUSY),
    ],
)
def test_each_status_has_its_meaning(status: int, outcome: PushOutcome) -> None:
    """RFC 8030, sections 5 and 7.3."""
    assert outcome is outcome_of(status)


def test_waits_as_long_as_a_push_service_asks_and_no_longer_than_a_day() -> None:
    """F30: Retry-After is obeyed; what cannot be meant is not."""
    assert pause_of(timedelta(seconds=90)) == timedelta(seconds=90)
    assert pause_of(timedelta(days=400)) == timedelta(hours=24)
    assert pause_of(timedelta(seconds=-5)) == timedelta(seconds=1)
    assert pause_of(None) == timedelta(seconds=30)
    assert next_push_attempt(1, NOW, timedelta(seconds=90)) == NOW + timedelta(seconds=90)
    assert next_push_attempt(1, NOW, None) == NOW + RETRY_DELAYS[0]
    assert next_push_attempt(len(RETRY_DELAYS) + 1, NOW, timedelta(seconds=90)) is None


def test_one_fact_on_one_device_is_one_push_for_ever() -> None:
    """Another fact, account or device is another."""
    other = a_device(account_id=OTHER_ACCOUNT_ID)
    trials = {trial_push(a_device(), key, TRACE).push_id for key in ("1", "2")}

    assert a_push() == a_push()
    assert len({a_push().push_id, a_push(a_device(2)).push_id, *trials}) == 4
    assert trial_push(other, "1", TRACE).push_id not in trials
    assert isinstance(a_push().push_id, UUID)
    assert msgspec.structs.replace(a_push(), news=a_push(version=2).news).topic == a_push().topic
