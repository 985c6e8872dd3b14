"""The rules of the books: accounts, postings, feed and reminders; cents, debit above zero.

Every fact moves the state of one invoice's account (`AccountState`); the entry posted is the
difference between how the books should show that state and how they show it. Facts may therefore
come in any order, and what is too late is booked all the same.
"""

from datetime import date, timedelta
from enum import StrEnum
from uuid import UUID

import msgspec


class LedgerAccount(StrEnum):
    """The plan of accounts of a régie, by the French name of each."""

    CREANCE = "CREANCE"
    """What payers owe on published invoices."""
    PRODUIT = "PRODUIT"
    """What the authority earned by issuing them."""
    PSP_A_RECEVOIR = "PSP_A_RECEVOIR"
    """What the card provider took and has not yet paid out."""
    TROP_PERCU = "TROP_PERCU"
    """What payers paid beyond what they owed: to be given back."""
    A_CLASSER = "A_CLASSER"
    """Money taken for an invoice that the books do not know yet."""


class AccountState(msgspec.Struct, frozen=True, kw_only=True):
    """One invoice's account: the facts known so far, and how the books show them now.

    `posted_*` are balances, in cents, with the sign of their ledger account.
    """

    invoice_id: UUID
    authority: str
    regie: str
    number: str
    version: int = 0
    withdrawn_version: int = 0
    kind: str = "invoice"
    route: str = "regie"
    amount_cents: int = 0
    due_on: date | None = None
    received_cents: int = 0
    posted_claim_cents: int = 0
    posted_surplus_cents: int = 0
    posted_unknown_cents: int = 0
    posted_product_cents: int = 0
    postings: int = 0
    reminder_level: int = 0

    @property
    def is_known(self) -> bool:
        """Whether an invoice was published under this id."""
        return self.version > 0

    @property
    def is_withdrawn(self) -> bool:
        """Whether the version that is held was taken back."""
        return self.withdrawn_version >= self.version

    @property
    def owed_cents(self) -> int:
        """What the invoice asks for, in cents; nothing if withdrawn or a credit note."""
        if not self.is_known or self.is_withdrawn or self.kind == "credit_note":
            return 0
        return self.amount_cents

    @property
    def outstanding_cents(self) -> int:
        """What is still owed, in cents; never negative."""
        return max(0, self.owed_cents - self.received_cents)


class Posting(msgspec.Struct, frozen=True):
    """One line of an entry."""

    account: LedgerAccount
    amount_cents: int


def publish(state: AccountState, *, version: int, facts: "InvoiceFacts") -> AccountState:
    """Return the account after a version of its invoice; a lower one than known changes nothing."""
    if version <= state.version:
        return state
    return msgspec.structs.replace(
        state,
        version=version,
        regie=facts.regie,
        number=facts.number,
        kind=facts.kind,
        route=facts.route,
        amount_cents=facts.amount_cents,
        due_on=facts.due_on,
    )


class InvoiceFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a published version says, as far as the books care."""

    regie: str
    number: str
    kind: str
    route: str
    amount_cents: int
    due_on: date


def withdraw(state: AccountState, *, version: int) -> AccountState:
    """Return the account after its invoice was taken back up to `version`."""
    return msgspec.structs.replace(state, withdrawn_version=max(state.withdrawn_version, version))


def receive(state: AccountState, cents: int) -> AccountState:
    """Return the account after `cents` came in, or went back when negative."""
    return msgspec.structs.replace(state, received_cents=state.received_cents + cents)


def settle(state: AccountState, *, received_cents: int = 0) -> tuple[AccountState, list[Posting]]:
    """Return the account as the books should show it, and the lines that make them do so.

    `received_cents` is the money that this fact moved (negative when it went back): it is the
    counterpart on PSP_A_RECEVOIR. No line is needed when nothing changes.
    """
    claim, product, surplus, unknown = _shown(state)
    moves = [
        (LedgerAccount.PSP_A_RECEVOIR, received_cents),
        (LedgerAccount.CREANCE, claim - state.posted_claim_cents),
        (LedgerAccount.PRODUIT, product - state.posted_product_cents),
        (LedgerAccount.TROP_PERCU, surplus - state.posted_surplus_cents),
        (LedgerAccount.A_CLASSER, unknown - state.posted_unknown_cents),
    ]
    postings = [Posting(account, cents) for account, cents in moves if cents]
    settled = msgspec.structs.replace(
        state,
        posted_claim_cents=claim,
        posted_product_cents=product,
        posted_surplus_cents=surplus,
        posted_unknown_cents=unknown,
        postings=state.postings + bool(postings),
    )
    return settled, postings


def _shown(state: AccountState) -> tuple[int, int, int, int]:
    """Return the balances of CREANCE, PRODUIT, TROP_PERCU and A_CLASSER that state asks for."""
    # What the treasury collects is in the DGFiP's books: ours show money that came here only.
    is_ours = state.route == "regie"
    if not state.is_known or not is_ours:
        return 0, 0, 0, -state.received_cents
    issued = 0 if state.is_withdrawn else state.amount_cents
    if state.kind == "credit_note":
        # The other way round: the authority owes the payer and earned that much less.
        return -issued, issued, -state.received_cents, 0
    surplus = max(0, state.received_cents - issued)
    return issued - state.received_cents + surplus, -issued, -surplus, 0


def reminder_is_due(state: AccountState, *, after_days: int, today: date) -> bool:
    """Tell whether the first reminder is due today, a civil date in France."""
    return (
        state.reminder_level == 0
        and state.route == "regie"
        and state.outstanding_cents > 0
        and state.due_on is not None
        and today >= state.due_on + timedelta(days=after_days)
    )
