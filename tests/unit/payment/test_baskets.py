"""Which invoices can be paid together, how the sum is split, and why one cannot be paid online."""

from datetime import date, timedelta
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payment.domain import (
    NO_HOLD,
    SENTENCES,
    Closure,
    Hold,
    NotPayableError,
    Offer,
    PartialPayment,
    PayableInvoice,
    Quote,
    Reason,
    Terms,
    least_cents,
    quote,
    reason_against,
    reason_of_sum,
    require_whole,
    split,
)
from payment.domain.baskets import AmountRefusedError
from payment.handlers.quote_payment import UnknownInvoiceError, payabilities, quote_payment
from shared.clock import FixedClock
from tests.unit.payment.payment_builders import (
    INVOICE_ID,
    NOW,
    OTHER_INVOICE_ID,
    a_published_invoice,
    an_attempt,
    an_invoice,
)
from tests.unit.payment.payment_fakes import RULES, FakeProvider, FakeProviders, FakeUnits

PARTS = PartialPayment(allowed=True, minimum_cents=5_00)


def an_offer(*, account: str = "saint-aubin-carte", **terms: object) -> Offer:
    """Return an account that takes from 1,00 € to 1 000,00 €."""
    rules = msgspec.structs.replace(RULES, minimum_cents=1_00, maximum_cents=1_000_00)
    return Offer(
        provider="lyra",
        account=account,
        rules=rules,
        terms=msgspec.structs.replace(Terms(), **terms),
    )


def a_treasury_offer() -> Offer:
    """Return PayFiP's account for titres."""
    offer = an_offer(account="titres")
    rules = msgspec.structs.replace(
        offer.rules, routes=frozenset({"treasury"}), takes_several=False
    )
    return msgspec.structs.replace(offer, provider="payfip", rules=rules)


def a_titre(**changes: object) -> PayableInvoice:
    """Return a titre of the treasury, published yesterday."""
    titre = an_invoice(route="treasury", fiscal_year=2026, debt_reference="DETTE4711")
    return msgspec.structs.replace(titre, **changes)


def quoted(
    *invoices: PayableInvoice, offer: Offer | None = None, amount_cents: int | None = None
) -> Quote:
    """Return the quote of invoices that one account takes."""
    offers = {invoice.invoice_id: offer or an_offer() for invoice in invoices}
    return quote(invoices, offers, {}, NOW, amount_cents)


def test_every_reason_has_a_plain_sentence() -> None:
    """D21: one closed list, each with its sentence in French."""
    assert set(Reason) == set(SENTENCES)
    assert all(sentence.endswith(".") for sentence in SENTENCES.values())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"captured_cents": 41_00}, Reason.ALREADY_PAID),
        ({"captured_cents": 82_00}, Reason.ALREADY_PAID),
        ({"withdrawn_version": 1}, Reason.WITHDRAWN),
        ({"withdrawn_version": 1, "captured_cents": 41_00}, Reason.WITHDRAWN),
        ({"withdrawn_version": 1, "version": 2}, None),
        ({"kind": "credit_note"}, Reason.CREDIT_NOTE),
        ({"route": "treasury"}, Reason.NO_PROVIDER),
    ],
)
def test_says_why_an_invoice_cannot_be_paid(
    changes: dict[str, object], reason: Reason | None
) -> None:
    """D21: what concerns the debt itself comes first."""
    assert reason is reason_against(an_invoice(**changes), an_offer(), NO_HOLD, NOW)


@pytest.mark.parametrize(
    ("hold", "reason"),
    [
        (Hold(is_in_flight=True), Reason.IN_FLIGHT),
        (Hold(recent_start=NOW - timedelta(minutes=19)), Reason.RECENT_ATTEMPT),
        (Hold(recent_start=NOW - timedelta(minutes=20)), None),
    ],
)
def test_another_attempt_holds_an_invoice_for_its_time(hold: Hold, reason: Reason | None) -> None:
    """D15: PayFiP wants 20 minutes between two attempts whose end it has not told."""
    offer = an_offer()
    rules = msgspec.structs.replace(offer.rules, pause_between_attempts=timedelta(minutes=20))
    paused = msgspec.structs.replace(offer, rules=rules)

    assert reason is reason_against(an_invoice(), paused, hold, NOW)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"published_at": NOW}, Reason.NOT_YET),
        ({"published_at": None}, None),
        ({"debt_reference": None}, Reason.NO_DEBT_REFERENCE),
        ({"fiscal_year": None}, Reason.NO_DEBT_REFERENCE),
    ],
)
def test_a_titre_can_be_paid_by_its_references_from_the_next_day_on(
    changes: dict[str, object], reason: Reason | None
) -> None:
    """TIPI knows a titre the day after Hélios."""
    assert reason is reason_against(a_titre(**changes), a_treasury_offer(), NO_HOLD, NOW)


@pytest.mark.parametrize(
    ("cause", "starts_in", "reason"),
    [
        ("maintenance", timedelta(0), Reason.MAINTENANCE),
        ("regie", timedelta(0), Reason.REGIE_CLOSED),
        ("regie", timedelta(microseconds=1), None),
        ("regie", timedelta(hours=-1), None),
    ],
)
def test_nothing_starts_in_a_closure(
    cause: str, starts_in: timedelta, reason: Reason | None
) -> None:
    """D19: from its first moment to its last, and no longer."""
    closure = msgspec.convert(
        {
            "starts_at": NOW + starts_in,
            "ends_at": NOW + starts_in + timedelta(hours=1),
            "cause": cause,
        },
        Closure,
    )

    offer = an_offer(closures=(closure,))
    assert reason is reason_against(an_invoice(), offer, NO_HOLD, NOW)


@pytest.mark.parametrize(("due_on", "reason"), [(14, None), (13, Reason.TOO_LATE)])
def test_an_invoice_can_be_paid_some_days_past_its_due_date(
    due_on: int, reason: Reason | None
) -> None:
    """D21: the authority says how long; today is 24 November."""
    invoice = an_invoice(due_on=date(2026, 11, due_on))

    assert reason is reason_against(invoice, an_offer(days_after_due=10), NO_HOLD, NOW)
    assert reason_against(invoice, an_offer(), NO_HOLD, NOW) is None


@pytest.mark.parametrize(
    ("cents", "reason"),
    [
        (99, Reason.BELOW_MINIMUM),
        (1_00, None),
        (1_000_00, None),
        (1_000_01, Reason.ABOVE_MAXIMUM),
    ],
)
def test_a_provider_takes_sums_between_its_limits(cents: int, reason: Reason | None) -> None:
    """PayFiP: from 1 €."""
    assert reason is reason_of_sum(cents, an_offer())


def test_pays_the_oldest_debt_first() -> None:
    """D8: due date, then issue, then number; what gets nothing is left out."""
    numbered = [
        an_invoice(
            invoice_id=UUID(int=index),
            number=number,
            due_on=date(2026, 12, due),
            issued_on=date(2026, 11, issued),
            amount_cents=10_00,
        )
        for index, (number, due, issued) in enumerate(
            [("D", 9, 1), ("C", 2, 8), ("B", 2, 3), ("A", 2, 8)]
        )
    ]

    found = quoted(*numbered, offer=an_offer(partial=PARTS), amount_cents=25_00)

    assert [("B", 10_00), ("A", 10_00), ("C", 5_00)] == [
        (part.number, part.amount_cents) for part in found.allocations
    ]
    assert (25_00, 40_00) == (found.total_cents, found.outstanding_cents)


def test_asks_for_what_is_still_owed_on_each_invoice() -> None:
    """S16: the amount is computed from the invoice and from what was captured, nothing else."""
    other = an_invoice(invoice_id=OTHER_INVOICE_ID, number="2026-0043", amount_cents=7_50)

    found = quoted(an_invoice(captured_cents=20_00), other)

    assert [(INVOICE_ID, 21_00), (OTHER_INVOICE_ID, 7_50)] == [
        (part.invoice_id, part.amount_cents) for part in found.allocations
    ]


def test_the_oldest_invoice_names_the_account() -> None:
    """D8: what belongs to another is refused, and may be paid next."""
    younger = an_invoice(invoice_id=OTHER_INVOICE_ID, number="2026-0043", due_on=date(2026, 12, 31))
    offers = {INVOICE_ID: an_offer(), OTHER_INVOICE_ID: an_offer(account="creche")}

    found = quote([younger, an_invoice()], offers, {}, NOW)

    assert found.offer == an_offer()
    assert [(OTHER_INVOICE_ID, Reason.DIFFERENT_ACCOUNTS)] == [
        (entry.invoice_id, entry.reason) for entry in found.refused
    ]
    with pytest.raises(NotPayableError):
        require_whole(found)


def test_a_titre_is_paid_alone_and_whole() -> None:
    """D7: a reference names one debt, and TIPI knows no part of it."""
    second = a_titre(invoice_id=OTHER_INVOICE_ID, number="2026-0043")

    found = quoted(a_titre(), second, offer=a_treasury_offer())
    assert [Reason.PAID_ALONE] == [entry.reason for entry in found.refused]

    offer = a_treasury_offer()
    lenient = msgspec.structs.replace(offer, terms=Terms(partial=PARTS))
    with pytest.raises(AmountRefusedError) as refused:
        quoted(a_titre(), offer=lenient, amount_cents=20_00)
    assert refused.value.code == "partial-not-allowed"
    assert least_cents(a_titre(), lenient) == 41_00


@pytest.mark.parametrize(
    ("amount_cents", "code"),
    [
        (41_01, "amount-too-high"),
        (4_99, "amount-too-low"),
        (40_50, "rest-too-low"),
    ],
)
def test_refuses_a_part_that_helps_nobody(amount_cents: int, code: str) -> None:
    """D7: a floor, never more than is owed, and a rest that can be paid online too."""
    with pytest.raises(AmountRefusedError) as refused:
        quoted(an_invoice(), offer=an_offer(partial=PARTS), amount_cents=amount_cents)

    assert code == refused.value.code


@pytest.mark.parametrize(
    ("cents", "reason"), [(99, Reason.BELOW_MINIMUM), (1_000_01, Reason.ABOVE_MAXIMUM)]
)
def test_small_invoices_can_be_paid_together(cents: int, reason: Reason) -> None:
    """The limits are those of the payment, not of each invoice."""
    alone = quoted(an_invoice(amount_cents=cents))
    together = quoted(
        an_invoice(amount_cents=99),
        an_invoice(invoice_id=OTHER_INVOICE_ID, number="2", amount_cents=1),
    )

    assert [reason] == [entry.reason for entry in alone.refused]
    assert (None, 0) == (alone.offer, alone.total_cents)
    assert (1_00, ()) == (together.total_cents, together.refused)


@pytest.mark.parametrize(
    ("owed", "partial", "least"),
    [(41_00, PartialPayment(), 41_00), (41_00, PARTS, 5_00), (3_00, PARTS, 3_00)],
)
def test_says_the_least_that_can_be_paid(owed: int, partial: PartialPayment, least: int) -> None:
    """D7: all of it, or the floor where a part may be paid."""
    assert least == least_cents(an_invoice(amount_cents=owed), an_offer(partial=partial))


@given(
    st.lists(st.integers(1, 500_00), min_size=1, max_size=8),
    st.integers(1, 4_000_00),
)
def test_a_split_loses_no_cent_and_overpays_no_invoice(owed: list[int], cents: int) -> None:
    """Law: Σ parts = what is paid, each part at most what is owed, older debts full first."""
    invoices = [
        an_invoice(invoice_id=UUID(int=number), number=f"{number:04d}", amount_cents=amount)
        for number, amount in enumerate(owed)
    ]
    paid = min(cents, sum(owed))

    parts = split(invoices[::-1], paid)

    assert paid == sum(part.amount_cents for part in parts)
    assert owed[: len(parts) - 1] == [part.amount_cents for part in parts[:-1]]
    assert parts[-1].amount_cents <= owed[len(parts) - 1]


async def test_a_quote_starts_nothing_and_names_who_is_refused() -> None:
    """The gateway shows it before the payer leaves."""
    units = FakeUnits()
    async with units.open() as unit:
        await unit.invoices.keep(
            [a_published_invoice(), a_published_invoice(invoice_id=OTHER_INVOICE_ID, number="2")]
        )
    units.memory.attempts[INVOICE_ID] = an_attempt()
    providers = FakeProviders(FakeProvider(units))

    found = await quote_payment(
        [INVOICE_ID, OTHER_INVOICE_ID], None, units.open, providers, FixedClock(NOW)
    )

    assert [(INVOICE_ID, Reason.IN_FLIGHT)] == [
        (entry.invoice_id, entry.reason) for entry in found.refused
    ]
    assert [OTHER_INVOICE_ID] == [part.invoice_id for part in found.allocations]
    assert len(units.memory.attempts) == 1
    with pytest.raises(UnknownInvoiceError):
        await quote_payment([UUID(int=9)], None, units.open, providers, FixedClock(NOW))


async def test_shows_whether_and_until_when_an_invoice_is_held() -> None:
    """D15: visible to the citizen and the counter."""
    units = FakeUnits()
    providers = FakeProviders(FakeProvider(units))
    clock = FixedClock(NOW)
    assert await payabilities([INVOICE_ID], units.open, providers, clock) == {}
    async with units.open() as unit:
        await unit.invoices.keep([a_published_invoice()])

    [free] = (await payabilities([INVOICE_ID], units.open, providers, clock)).values()
    units.memory.attempts[INVOICE_ID] = an_attempt()
    [held] = (await payabilities([INVOICE_ID], units.open, providers, clock)).values()

    assert (True, None, "", 41_00, (("lyra", "saint-aubin-carte"),)) == (
        free.payable,
        free.reason,
        free.sentence,
        free.outstanding_cents,
        free.accounts,
    )
    assert (False, Reason.IN_FLIGHT, an_attempt().expires_at) == (
        held.payable,
        held.reason,
        held.in_flight_until,
    )


@pytest.mark.parametrize(
    ("terms", "reason"), [(Terms(), Reason.ABOVE_MAXIMUM), (Terms(partial=PARTS), None)]
)
async def test_what_is_too_much_for_one_payment_may_be_paid_in_parts(
    terms: Terms, reason: Reason | None
) -> None:
    """D7: where the authority allows it, the provider's maximum stops nobody."""
    units = FakeUnits()
    rules = msgspec.structs.replace(RULES, maximum_cents=20_00)
    providers = FakeProviders(FakeProvider(units, rules=rules), terms=terms)
    async with units.open() as unit:
        await unit.invoices.keep([a_published_invoice()])

    clock = FixedClock(NOW)
    [found] = (await payabilities([INVOICE_ID], units.open, providers, clock)).values()

    assert (reason is None, reason) == (found.payable, found.reason)
