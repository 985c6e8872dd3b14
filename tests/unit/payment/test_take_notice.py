"""A notice is kept as it came, with what follows from it, once."""

import msgspec
import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from payment.domain import AttemptState, FoundBy, Notice, NoticeOutcome
from payment.handlers.abandon_payment import abandon_payment
from payment.handlers.close_expired import EXPIRED_AT_ONCE, close_expired
from payment.handlers.on_invoice_published import on_invoice_published
from payment.handlers.on_invoice_withdrawn import on_invoice_withdrawn
from payment.handlers.take_notice import take_notice
from payment.ports import NoticeRefusedError, Nudge, RawNotice
from shared.clock import FixedClock
from shared.events import PaymentCaptured
from tests.unit.payment.payment_builders import (
    INVOICE_ID,
    LIFETIME,
    NOW,
    OTHER_TRANSACTION,
    PAYMENT_ID,
    a_captured_attempt,
    a_message,
    a_notice,
    a_published_invoice,
    a_withdrawal,
    an_attempt,
)
from tests.unit.payment.payment_fakes import RAW, RULES, FakeProvider, FakeUnits

CLOCK = FixedClock(NOW)


def units_with(state: AttemptState = AttemptState.REDIRECTED) -> FakeUnits:
    """Return transactions over one attempt."""
    units = FakeUnits()
    units.memory.attempts[PAYMENT_ID] = an_attempt(state=state)
    return units


async def tell(units: FakeUnits, **changes: object) -> None:
    """Let the provider tell something of the order."""
    provider = FakeProvider(units)
    provider.notice = a_notice(**changes)
    await take_notice(RAW, provider, units.open, CLOCK)


def outcomes(units: FakeUnits) -> list[tuple[RawNotice, NoticeOutcome]]:
    """Return the notices that were kept."""
    return list(units.memory.notices.values())


@pytest.mark.parametrize(
    "state",
    [AttemptState.REDIRECTED, AttemptState.REFUSED, AttemptState.ABANDONED, AttemptState.EXPIRED],
)
async def test_books_and_publishes_a_capture_early_or_late(state: AttemptState) -> None:
    """P12: the notice, the move and the event are one transaction."""
    units = units_with(state)

    await tell(units)

    assert a_captured_attempt() == units.memory.attempts[PAYMENT_ID]
    assert [(RAW, NoticeOutcome.CAPTURED)] == outcomes(units)
    [event] = units.published
    assert isinstance(event, PaymentCaptured)
    assert (PAYMENT_ID, 41_00, INVOICE_ID) == (
        event.payment_id,
        event.amount_cents,
        event.allocations[0].invoice_id,
    )


async def test_the_same_notice_twice_is_published_once() -> None:
    """W5: and a later status of the same operation publishes nothing either."""
    units = units_with()

    await tell(units)
    await tell(units)
    await tell(units, fact="the day after")

    assert len(units.published) == 1
    assert [NoticeOutcome.CAPTURED, NoticeOutcome.NOTHING_NEW] == [
        outcome for _, outcome in outcomes(units)
    ]


async def test_two_attempts_for_one_invoice_are_both_booked() -> None:
    """L8: two tabs, two captures, two events: the second is the books' overpayment."""
    units = units_with(AttemptState.ABANDONED)
    other = msgspec.structs.replace(an_attempt(), payment_id=INVOICE_ID, order_id="SECOND")
    units.memory.attempts[INVOICE_ID] = other

    await tell(units)
    await tell(units, order_id="SECOND", fact="other", provider_reference=OTHER_TRANSACTION)

    assert [PAYMENT_ID, INVOICE_ID] == [event.payment_id for event in units.published]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"amount_cents": 314_159}, NoticeOutcome.OTHER_AMOUNT),
        ({"currency": "840"}, NoticeOutcome.OTHER_CURRENCY),
        ({"order_id": "UNKNOWN"}, NoticeOutcome.UNKNOWN_ORDER),
        ({"is_foreign": True}, NoticeOutcome.OTHER_SHOP),
        ({"is_payment": False}, NoticeOutcome.OTHER_OPERATION),
    ],
)
async def test_keeps_what_does_not_match_and_calls_people(
    changes: dict[str, object], outcome: NoticeOutcome
) -> None:
    """W2 to W4, W7, W16: kept, logged as an error, counted; no move and no event."""
    units = units_with()
    counted = {"kind": "notice", "outcome": outcome.value}
    before = REGISTRY.get_sample_value("quittance_work_done_total", counted) or 0

    with capture_logs() as logs:
        await tell(units, **changes)

    assert an_attempt() == units.memory.attempts[PAYMENT_ID]
    assert [(RAW, outcome)] == outcomes(units)
    assert units.published == []
    assert [("error", outcome.value)] == [(log["log_level"], log["outcome"]) for log in logs]
    assert before + 1 == REGISTRY.get_sample_value("quittance_work_done_total", counted)


async def test_a_repeated_notice_calls_people_once() -> None:
    """Providers repeat themselves; an alarm that does is not heard."""
    units = units_with()

    with capture_logs() as logs:
        await tell(units, amount_cents=1)
        await tell(units, amount_cents=1)

    assert ["error", "info"] == [log["log_level"] for log in logs]


async def test_books_a_notice_told_again_once_its_order_is_known() -> None:
    """As after a restore from a backup: what was kept unmatched is not lost when it comes again."""
    units = FakeUnits()
    await tell(units)
    await tell(units)
    assert [NoticeOutcome.UNKNOWN_ORDER] == [outcome for _, outcome in outcomes(units)]

    units.memory.attempts[PAYMENT_ID] = an_attempt()
    await tell(units)
    await tell(units)

    assert [NoticeOutcome.CAPTURED] == [outcome for _, outcome in outcomes(units)]
    assert len(units.published) == 1


@pytest.mark.parametrize("state", [AttemptState.REFUSED, AttemptState.ABANDONED])
async def test_a_refusal_frees_the_invoice_and_publishes_nothing(state: AttemptState) -> None:
    """No money was taken."""
    units = units_with()

    await tell(units, state=state)

    ended = an_attempt(state=state, closed_by=FoundBy.NOTICE)
    assert ended == units.memory.attempts[PAYMENT_ID]
    assert units.published == []


async def test_keeps_nothing_of_a_notice_that_proves_nothing() -> None:
    """W1: anybody could fill the table."""
    units = units_with()

    class Doubting(FakeProvider):
        def read_notice(self, raw: RawNotice) -> Notice:
            raise NoticeRefusedError

    with pytest.raises(NoticeRefusedError):
        await take_notice(RAW, Doubting(units), units.open, CLOCK)

    assert outcomes(units) == []
    assert an_attempt() == units.memory.attempts[PAYMENT_ID]


async def test_abandons_an_open_attempt_once() -> None:
    """The payer starts again; a second click changes nothing."""
    units = units_with()

    first = await abandon_payment(PAYMENT_ID, units.open, CLOCK)
    second = await abandon_payment(PAYMENT_ID, units.open, CLOCK)

    assert first is not None
    assert first.state is AttemptState.ABANDONED
    assert second == an_attempt(state=AttemptState.ABANDONED, closed_by=FoundBy.PAYER)


async def test_abandoning_never_undoes_a_capture() -> None:
    """The payer may come too late to give up."""
    units = FakeUnits()
    units.memory.attempts[PAYMENT_ID] = a_captured_attempt()

    assert a_captured_attempt() == await abandon_payment(PAYMENT_ID, units.open, CLOCK)


async def test_abandoning_what_does_not_exist_finds_nothing() -> None:
    """The door answers 404."""
    assert await abandon_payment(PAYMENT_ID, FakeUnits().open, CLOCK) is None


async def test_the_clock_closes_only_attempts_past_their_time() -> None:
    """An attempt holds an invoice for 20 minutes at most."""
    units = units_with()
    clock = FixedClock(NOW + LIFETIME)

    assert await close_expired(units.open, clock) == 0
    clock.advance(LIFETIME)
    assert await close_expired(units.open, clock) == 1
    assert await close_expired(units.open, clock) == 0
    expired = an_attempt(state=AttemptState.EXPIRED, closed_by=FoundBy.CLOCK)
    assert expired == units.memory.attempts[PAYMENT_ID]


async def test_the_clock_goes_on_until_none_is_left() -> None:
    """More than one batch after an outage."""
    units = FakeUnits()
    for number in range(EXPIRED_AT_ONCE + 1):
        name = PAYMENT_ID.__class__(int=number)
        units.memory.attempts[name] = msgspec.structs.replace(an_attempt(), payment_id=name)

    count = await close_expired(units.open, FixedClock(NOW + 2 * LIFETIME))

    assert count == EXPIRED_AT_ONCE + 1


@pytest.mark.parametrize("is_reversed", [False, True])
async def test_events_fill_the_read_model_in_any_order(is_reversed: bool) -> None:
    """Both topics, each twice, in either order: the same invoice, which is withdrawn."""
    units = FakeUnits()

    async def published() -> None:
        async with units.open() as unit:
            await on_invoice_published([a_message(a_published_invoice())], unit.invoices)

    async def withdrawn() -> None:
        async with units.open() as unit:
            await on_invoice_withdrawn([a_message(a_withdrawal())], unit.invoices)

    for step in [withdrawn, published] * 2 if is_reversed else [published, withdrawn] * 2:
        await step()

    async with units.open() as unit:
        [invoice] = await unit.invoices.lock([INVOICE_ID])
    assert (41_00, 1, 1) == (invoice.amount_cents, invoice.version, invoice.withdrawn_version)


async def nudge(units: FakeUnits, reference: str, raw: RawNotice = RAW) -> FakeProvider:
    """Let a provider say that there is something to ask about."""
    rules = msgspec.structs.replace(RULES, can_be_asked=True)
    provider = FakeProvider(units, rules=rules)
    provider.notice = Nudge(reference=reference)
    await take_notice(raw, provider, units.open, CLOCK)
    return provider


async def test_a_nudge_brings_the_question_forward_and_asks_nobody() -> None:
    """P17: the provider is never asked while it waits for this answer."""
    units = FakeUnits()
    units.memory.attempts[PAYMENT_ID] = an_attempt(reference="idop-1")
    async with units.open() as unit:
        await unit.polls.plan(PAYMENT_ID, NOW + LIFETIME)

    provider = await nudge(units, "idop-1")
    await nudge(units, "idop-1")

    assert provider.questions == []
    assert units.memory.polls[PAYMENT_ID].next_at == NOW
    assert [(RAW, NoticeOutcome.ASKED)] == outcomes(units)
    assert an_attempt(reference="idop-1") == units.memory.attempts[PAYMENT_ID]


async def test_nudges_that_name_nothing_of_ours_leave_nothing() -> None:
    """W17: a thousand a minute cost no question and no row."""
    units = units_with()

    for number in range(1000):
        await nudge(units, f"idop-{number}")
    await nudge(units, "")

    assert outcomes(units) == []
    assert units.memory.polls == {}


async def test_every_move_stands_in_the_history() -> None:
    """Who found it, when, from where, to where."""
    units = units_with()

    await abandon_payment(PAYMENT_ID, units.open, CLOCK)
    await tell(units)

    assert [
        (AttemptState.REDIRECTED, AttemptState.ABANDONED, FoundBy.PAYER, NOW),
        (AttemptState.ABANDONED, AttemptState.CAPTURED, FoundBy.NOTICE, NOW),
    ] == [
        (move.source, move.target, move.found_by, move.moved_at)
        for move in units.memory.moves[PAYMENT_ID]
    ]
