"""The laws of the books: every entry sums to zero, and the order of facts does not matter."""

from datetime import date
from functools import partial
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciliation.domain.ledger import (
    AccountState,
    InvoiceFacts,
    LedgerAccount,
    publish,
    receive,
    reminder_is_due,
    settle,
    withdraw,
)

INVOICE = UUID(int=1)
DUE = date(2026, 12, 1)


def an_account() -> AccountState:
    return AccountState(invoice_id=INVOICE, authority="a", regie="R", number="1")


def facts(*, amount_cents: int = 4100, kind: str = "invoice", route: str = "regie") -> InvoiceFacts:
    return InvoiceFacts(
        regie="R", number="1", kind=kind, route=route, amount_cents=amount_cents, due_on=DUE
    )


versions = st.builds(
    lambda version, cents, kind: ("publish", version, cents, kind),
    st.integers(1, 4),
    st.integers(1, 10_000),
    st.sampled_from(["invoice", "credit_note"]),
)
withdrawals = st.builds(lambda version: ("withdraw", version, 0, ""), st.integers(1, 4))
movements = st.builds(
    lambda cents: ("receive", 0, cents, ""),
    st.integers(-10_000, 10_000).filter(lambda cents: cents != 0),
)


def run(steps: list[tuple[str, int, int, str]]) -> tuple[AccountState, dict[LedgerAccount, int]]:
    """Apply steps one after another, as the handlers do; return the state and the balances."""
    state = an_account()
    balances = dict.fromkeys(LedgerAccount, 0)
    for kind, version, cents, form in steps:
        received = 0
        if kind == "publish":
            # A version says the same thing whenever it is told.
            apply = partial(publish, version=version, facts=facts(amount_cents=cents, kind=form))
        elif kind == "withdraw":
            apply = partial(withdraw, version=version)
        else:
            apply, received = partial(receive, cents=cents), cents
        state, postings = settle(apply(state), received_cents=received)
        assert sum(posting.amount_cents for posting in postings) == 0
        assert len(postings) != 1
        for posting in postings:
            balances[posting.account] += posting.amount_cents
    return state, balances


def one_of_each_version(
    steps: list[tuple[str, int, int, str]],
) -> list[tuple[str, int, int, str]]:
    seen: dict[int, tuple[str, int, int, str]] = {}
    return [
        seen.setdefault(step[1], step) if step[0] == "publish" else step
        for step in steps
        if step[0] != "publish" or step[1] not in seen
    ]


steps_of_an_invoice = st.lists(st.one_of(versions, withdrawals, movements), max_size=12).map(
    one_of_each_version
)


@given(steps_of_an_invoice)
def test_every_entry_and_all_accounts_sum_to_zero(steps: list[tuple[str, int, int, str]]) -> None:
    """Double entry, whatever happens in whatever order."""
    _, balances = run(steps)

    assert sum(balances.values()) == 0


@given(steps_of_an_invoice, st.randoms(use_true_random=False))
def test_the_order_of_facts_does_not_change_the_books(
    steps: list[tuple[str, int, int, str]], chance: st.DataObject
) -> None:
    """Topics are not ordered against each other: the end is the same."""
    shuffled = list(steps)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]

    assert run(steps)[1] == run(shuffled)[1]


@given(steps_of_an_invoice)
def test_a_claim_is_what_is_outstanding(steps: list[tuple[str, int, int, str]]) -> None:
    """CREANCE of an invoice is issued less received, and never a negative debt."""
    state, balances = run(steps)

    if state.is_known and state.kind == "invoice":
        issued = 0 if state.is_withdrawn else state.amount_cents
        assert balances[LedgerAccount.CREANCE] == max(0, issued - state.received_cents)
        assert balances[LedgerAccount.TROP_PERCU] == -max(0, state.received_cents - issued)


def test_money_that_comes_before_its_invoice_waits_on_a_suspense_account() -> None:
    """A late truth is booked, never refused; it is joined when the invoice comes."""
    early = run([("receive", 0, 4100, "")])
    joined = run([("receive", 0, 4100, ""), ("publish", 1, 4100, "invoice")])

    assert early[1][LedgerAccount.A_CLASSER] == -4100
    assert joined[1][LedgerAccount.A_CLASSER] == 0
    assert joined[1][LedgerAccount.CREANCE] == 0
    assert joined[1][LedgerAccount.PSP_A_RECEVOIR] == 4100


def test_money_beyond_what_is_owed_is_to_be_given_back() -> None:
    """Paid twice from two tabs: the second stands on TROP_PERCU."""
    _, balances = run([("publish", 1, 4100, "invoice")] + [("receive", 0, 4100, "")] * 2)

    assert balances[LedgerAccount.TROP_PERCU] == -4100
    assert balances[LedgerAccount.CREANCE] == 0


def test_what_the_treasury_collects_is_not_a_claim_of_the_regie() -> None:
    """Invoices paid by PayFiP belong to the DGFiP's books."""
    state = publish(an_account(), version=1, facts=facts(route="treasury"))

    _, postings = settle(state)

    assert postings == []


@pytest.mark.parametrize(
    ("today", "received", "level", "is_due"),
    [
        (date(2026, 12, 15), 0, 0, False),
        (date(2026, 12, 16), 0, 0, True),
        (date(2026, 12, 16), 4000, 0, True),
        (date(2026, 12, 16), 4100, 0, False),
        (date(2026, 12, 16), 0, 1, False),
    ],
)
def test_a_reminder_is_due_after_the_days_of_the_regie(
    today: date, received: int, level: int, is_due: bool
) -> None:
    """Due date plus the régie's days, still owed, not reminded yet."""
    state = receive(publish(an_account(), version=1, facts=facts()), received)
    state = AccountState(
        **{f: getattr(state, f) for f in state.__struct_fields__} | {"reminder_level": level}
    )

    assert is_due == reminder_is_due(state, after_days=15, today=today)


def test_a_withdrawn_invoice_gets_no_reminder() -> None:
    """Nothing is owed any more."""
    state = withdraw(publish(an_account(), version=1, facts=facts()), version=1)

    assert not reminder_is_due(state, after_days=15, today=date(2027, 1, 1))
