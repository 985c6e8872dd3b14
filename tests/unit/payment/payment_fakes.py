"""Payment in memory: transactions, a provider, accounts. The store's own suite runs on it too."""

import copy
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from hashlib import sha256
from uuid import UUID

import msgspec

from payment.domain import (
    IN_FLIGHT,
    Attempt,
    AttemptState,
    FoundBy,
    Move,
    Notice,
    NoticeOutcome,
    PayableInvoice,
)
from payment.domain.ladder import NUDGE_PAUSE
from payment.domain.parity import OurLine, TheirLine
from payment.ports import (
    Handover,
    KeyedAttempt,
    Nudge,
    Order,
    PaymentForm,
    Poll,
    Provider,
    ProviderUnavailableError,
    Question,
    RawNotice,
    Rules,
    Terms,
    UnclearAttempt,
)
from shared.events import Event, InvoicePublished, InvoiceWithdrawn
from tests.unit.payment.payment_builders import NOW, a_notice, an_invoice

RAW = RawNotice(body=b"raw", query="", content_type="application/x-www-form-urlencoded")
RULES = Rules(
    minimum_cents=1,
    maximum_cents=99_999_999,
    can_be_asked=False,
    needs_email=False,
    takes_several=True,
    routes=frozenset({"regie"}),
    session=timedelta(minutes=10),
    pause_between_attempts=timedelta(),
)


class Planned(msgspec.Struct):
    """One row of what is still to be asked."""

    next_at: datetime | None
    asked_count: int = 0
    asked_at: datetime | None = None
    locked_until: datetime | None = None
    needs_people: bool = False
    last_error: str = ""


class Memory:
    """What one database would hold."""

    def __init__(self) -> None:
        self.invoices: dict[UUID, PayableInvoice] = {}
        self.attempts: dict[UUID, Attempt] = {}
        self.forms: dict[UUID, PaymentForm] = {}
        self.raws: dict[UUID, bytes] = {}
        self.keys: dict[str, UUID] = {}
        self.digests: dict[UUID, bytes] = {}
        self.numbers: set[tuple[str, date, str]] = set()
        self.moves: dict[UUID, list[Move]] = {}
        self.ended: dict[UUID, datetime] = {}
        self.notices: dict[tuple[str, str, str], tuple[RawNotice, NoticeOutcome]] = {}
        self.polls: dict[UUID, Planned] = {}
        self.lines: dict[tuple[str, str, str], TheirLine] = {}


class FakeInvoices:
    """See `ports.Invoices`."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def keep(self, published: Sequence[InvoicePublished]) -> None:
        for event in published:
            known = self._memory.invoices.get(event.invoice_id)
            if known is None or known.version < event.version:
                self._memory.invoices[event.invoice_id] = PayableInvoice(
                    invoice_id=event.invoice_id,
                    authority=event.authority,
                    regie=event.regie,
                    number=event.number,
                    version=event.version,
                    kind=event.kind,
                    route=event.route,
                    amount_cents=event.amount_cents,
                    withdrawn_version=known.withdrawn_version if known else 0,
                    captured_cents=0,
                    published_at=event.published_at,
                    issued_on=event.issued_on,
                    due_on=event.due_on,
                    subject=event.subject,
                    fiscal_year=event.fiscal_year,
                    debt_reference=event.debt_reference,
                )

    async def withdraw(self, withdrawn: Sequence[InvoiceWithdrawn]) -> None:
        for event in withdrawn:
            known = self._memory.invoices.get(event.invoice_id) or an_invoice(
                invoice_id=event.invoice_id, version=0, amount_cents=0
            )
            self._memory.invoices[event.invoice_id] = msgspec.structs.replace(
                known, withdrawn_version=max(known.withdrawn_version, event.version)
            )

    async def lock(self, invoice_ids: Sequence[UUID]) -> list[PayableInvoice]:
        return await self.read(invoice_ids)

    async def read(self, invoice_ids: Sequence[UUID]) -> list[PayableInvoice]:
        found = [self._memory.invoices.get(invoice_id) for invoice_id in invoice_ids]
        return [
            msgspec.structs.replace(invoice, captured_cents=self._captured(invoice.invoice_id))
            for invoice in found
            if invoice is not None and invoice.version > 0
        ]

    def _captured(self, invoice_id: UUID) -> int:
        taken = [one for one in self._memory.attempts.values() if one.captured_cents is not None]
        came = (part for one in taken for part in one.allocations)
        went = (part for one in taken for entry in one.returned for part in entry.parts)
        return sum(part.amount_cents for part in came if part.invoice_id == invoice_id) - sum(
            part.amount_cents for part in went if part.invoice_id == invoice_id
        )


class FakeAttempts:
    """See `ports.Attempts`."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def in_flight(self, invoice_ids: Sequence[UUID]) -> list[Attempt]:
        return [
            attempt
            for attempt in self._memory.attempts.values()
            if attempt.is_in_flight
            and {part.invoice_id for part in attempt.allocations} & set(invoice_ids)
        ]

    async def recent_starts(
        self, invoice_ids: Sequence[UUID], since: datetime
    ) -> dict[UUID, datetime]:
        found: dict[UUID, datetime] = {}
        for attempt in self._memory.attempts.values():
            is_unsaid = attempt.state in {AttemptState.ABANDONED, AttemptState.EXPIRED} and (
                attempt.closed_by in {FoundBy.PAYER, FoundBy.CLOCK, FoundBy.RETURN}
            )
            if is_unsaid and attempt.started_at > since:
                for part in attempt.allocations:
                    if part.invoice_id in invoice_ids:
                        known = found.get(part.invoice_id, attempt.started_at)
                        found[part.invoice_id] = max(known, attempt.started_at)
        return found

    async def by_key(self, idempotency_key: str) -> KeyedAttempt | None:
        payment_id = self._memory.keys.get(idempotency_key)
        if payment_id is None:
            return None
        return KeyedAttempt(
            attempt=self._memory.attempts[payment_id],
            demand_sha256=self._memory.digests[payment_id],
            form=self._memory.forms.get(payment_id),
        )

    async def release_key(self, payment_id: UUID) -> None:
        keys = self._memory.keys
        self._memory.keys = {key: value for key, value in keys.items() if value != payment_id}

    async def create(
        self, attempt: Attempt, idempotency_key: str | None, demand_sha256: bytes
    ) -> bool:
        if idempotency_key in self._memory.keys:
            return False
        self._memory.attempts[attempt.payment_id] = attempt
        self._memory.digests[attempt.payment_id] = demand_sha256
        if idempotency_key is not None:
            self._memory.keys[idempotency_key] = attempt.payment_id
        first = Move(
            source=None,
            target=attempt.state,
            found_by=FoundBy.START,
            moved_at=attempt.started_at,
        )
        self._memory.moves[attempt.payment_id] = [first]
        return True

    async def hand_over(self, payment_id: UUID, handover: Handover) -> bool:
        attempt = self._memory.attempts[payment_id]
        number = (attempt.account, handover.provider_day, handover.provider_number)
        if number in self._memory.numbers:
            return False
        self._memory.numbers.add(number)
        self._memory.forms[payment_id] = handover.form
        self._memory.attempts[payment_id] = msgspec.structs.replace(
            attempt, reference=handover.reference
        )
        if handover.raw is not None:
            self._memory.raws[payment_id] = handover.raw
        return True

    async def find(self, payment_id: UUID) -> Attempt | None:
        return self._memory.attempts.get(payment_id)

    async def lock(self, payment_id: UUID) -> Attempt | None:
        return self._memory.attempts.get(payment_id)

    async def lock_order(self, provider: str, account: str, order_id: str) -> Attempt | None:
        named = (provider, account, order_id)
        return next(
            (
                attempt
                for attempt in self._memory.attempts.values()
                if (attempt.provider, attempt.account, attempt.order_id) == named
            ),
            None,
        )

    async def by_reference(self, provider: str, account: str, reference: str) -> Attempt | None:
        named = (provider, account, reference)
        return next(
            (
                attempt
                for attempt in self._memory.attempts.values()
                if reference and (attempt.provider, attempt.account, attempt.reference) == named
            ),
            None,
        )

    async def move(
        self, before: Attempt, after: Attempt, found_by: FoundBy, at: datetime, detail: str = ""
    ) -> None:
        known = self._memory.attempts[after.payment_id]
        is_end = not after.is_in_flight and after.state is not before.state
        closed_by = found_by if is_end else before.closed_by
        self._memory.attempts[after.payment_id] = msgspec.structs.replace(
            after,
            closed_by=None if after.is_in_flight else closed_by,
            reference=known.reference,
        )
        if not after.is_in_flight and before.captured_cents is None:
            self._memory.ended[after.payment_id] = at
        self._memory.moves.setdefault(after.payment_id, []).append(
            Move(
                source=before.state,
                target=after.state,
                found_by=found_by,
                moved_at=at,
                detail=detail,
            )
        )

    async def history(self, payment_id: UUID) -> list[Move]:
        return list(self._memory.moves.get(payment_id, []))

    async def overdue(self, now: datetime, limit: int) -> list[UUID]:
        polls = self._memory.polls
        return [
            attempt.payment_id
            for attempt in self._memory.attempts.values()
            if attempt.state in IN_FLIGHT
            and attempt.expires_at < now
            and not (attempt.payment_id in polls and polls[attempt.payment_id].next_at)
        ][:limit]

    async def listed(
        self, account: str, first: datetime, last: datetime, names: Sequence[str]
    ) -> list[OurLine]:
        lines = []
        for attempt in sorted(self._memory.attempts.values(), key=lambda one: one.order_id):
            line = OurLine(
                payment_id=str(attempt.payment_id),
                order_id=attempt.order_id,
                reference=attempt.reference,
                provider_reference=attempt.provider_reference or "",
                captured_cents=attempt.captured_cents or 0,
                returned_cents=attempt.returned_cents,
            )
            ended = self._memory.ended.get(attempt.payment_id, last)
            is_of_period = attempt.captured_cents is not None and first <= ended < last
            if attempt.account == account and (is_of_period or line.names & set(names)):
                lines.append(line)
        return lines


class FakeNotices:
    """See `ports.Notices`."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def keep(
        self,
        source: tuple[str, str],
        notice: Notice,
        raw: RawNotice,
        outcome: NoticeOutcome,
        at: datetime,
    ) -> bool:
        name = (*source, notice.fact)
        known = self._memory.notices.get(name, (raw, NoticeOutcome.UNKNOWN_ORDER))[1]
        was_unknown = known is NoticeOutcome.UNKNOWN_ORDER is not outcome
        if name in self._memory.notices and not was_unknown:
            return False
        self._memory.notices[name] = (raw, outcome)
        return True

    async def keep_nudge(
        self, source: tuple[str, str], attempt: Attempt, raw: RawNotice, at: datetime
    ) -> None:
        digest = sha256(raw.body + b"?" + raw.query.encode()).hexdigest()
        self._memory.notices[(*source, digest)] = (raw, NoticeOutcome.ASKED)

    async def keep_statement(self, account: str, lines: Sequence[TheirLine]) -> None:
        for line in lines:
            self._memory.lines[(account, line.order, line.reference)] = line

    async def statement(
        self, account: str, first: datetime, last: datetime, names: Sequence[str] = ()
    ) -> list[TheirLine]:
        return [
            line
            for (of, _, _), line in sorted(self._memory.lines.items())
            if of == account
            and (first <= line.at < last or {line.order, line.reference} & set(names))
        ]


class FakePolls:
    """See `ports.Polls`."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def plan(self, payment_id: UUID, at: datetime) -> None:
        self._memory.polls.setdefault(payment_id, Planned(next_at=at))

    async def hasten(self, payment_id: UUID, now: datetime) -> None:
        planned = self._memory.polls.get(payment_id)
        attempt = self._memory.attempts[payment_id]
        is_final = attempt.state is AttemptState.CAPTURED and attempt.is_settled
        if planned is None or is_final or attempt.state is AttemptState.REVERSED:
            return
        soon = max(now, planned.asked_at + NUDGE_PAUSE) if planned.asked_at else now
        planned.next_at = min(planned.next_at or soon, soon)

    async def stop(self, payment_id: UUID) -> None:
        planned = self._memory.polls.get(payment_id)
        if planned is not None:
            planned.next_at, planned.needs_people, planned.last_error = None, False, ""

    async def claim(self, now: datetime, lease: timedelta, limit: int) -> list[Poll]:
        due = [
            (planned.next_at, payment_id)
            for payment_id, planned in self._memory.polls.items()
            if planned.next_at is not None
            and planned.next_at <= now
            and (planned.locked_until is None or planned.locked_until <= now)
        ]
        claimed = []
        for _, payment_id in sorted(due)[:limit]:
            planned = self._memory.polls[payment_id]
            planned.locked_until = now + lease
            attempt = self._memory.attempts[payment_id]
            claimed.append(
                Poll(
                    payment_id=payment_id,
                    provider=attempt.provider,
                    account=attempt.account,
                    question=Question(
                        order_id=attempt.order_id,
                        reference=attempt.reference,
                        amount_cents=attempt.amount_cents,
                        started_at=attempt.started_at,
                        asked_count=planned.asked_count,
                        raw=self._memory.raws.get(payment_id),
                    ),
                )
            )
        return claimed

    async def keep_answer(
        self,
        payment_id: UUID,
        *,
        asked_at: datetime,
        next_at: datetime | None,
        needs_people: bool,
        error: str = "",
        raw: bytes | None = None,
    ) -> None:
        planned = self._memory.polls[payment_id]
        planned.asked_count += 1
        planned.asked_at, planned.next_at = asked_at, next_at
        planned.needs_people, planned.last_error = needs_people, error
        planned.locked_until = None
        if raw is not None:
            self._memory.raws[payment_id] = raw

    async def unclear(self, authority: str | None, limit: int) -> list[UnclearAttempt]:
        found = []
        for payment_id, planned in self._memory.polls.items():
            attempt = self._memory.attempts[payment_id]
            if planned.needs_people and authority in {None, attempt.authority}:
                found.append(
                    UnclearAttempt(
                        payment_id=payment_id,
                        order_id=attempt.order_id,
                        authority=attempt.authority,
                        provider=attempt.provider,
                        account=attempt.account,
                        state=attempt.state,
                        amount_cents=attempt.amount_cents,
                        started_at=attempt.started_at,
                        asked_count=planned.asked_count,
                        last_error=planned.last_error,
                    )
                )
        return sorted(found, key=lambda one: one.started_at)[:limit]

    async def count_unclear(self) -> int:
        return sum(planned.needs_people for planned in self._memory.polls.values())


class FakeUnit:
    """One transaction: what it published is kept only when it ends well."""

    def __init__(self, memory: Memory) -> None:
        self.invoices = FakeInvoices(memory)
        self.attempts = FakeAttempts(memory)
        self.notices = FakeNotices(memory)
        self.polls = FakePolls(memory)
        self.events: list[Event] = []

    async def publish(self, events: Sequence[Event]) -> None:
        self.events += events


class FakeUnits:
    """Opens transactions on one memory, one at a time; one that fails leaves nothing."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.published: list[Event] = []
        self.is_open = False

    @asynccontextmanager
    async def open(self) -> AsyncIterator[FakeUnit]:
        before = copy.deepcopy(vars(self.memory))
        unit = FakeUnit(self.memory)
        self.is_open = True
        try:
            yield unit
        except BaseException:
            vars(self.memory).update(before)
            raise
        finally:
            self.is_open = False
        self.published += unit.events


class FakeProvider:
    """A provider that numbers its forms, says what it is told to say, and may be asked."""

    name = "lyra"

    def __init__(
        self, units: FakeUnits, account: str = "saint-aubin-carte", rules: Rules = RULES
    ) -> None:
        self.account = account
        self.rules = rules
        self.orders: list[Order] = []
        self.questions: list[Question] = []
        self.notice: Notice | Nudge = a_notice()
        self.answer: Notice | Exception | None = None
        self.failure: Exception | None = None
        self.was_asked_in_a_transaction = False
        self._units = units

    async def prepare(self, order: Order) -> Handover:
        self.was_asked_in_a_transaction |= self._units.is_open
        self.orders.append(order)
        if self.failure is not None:
            raise self.failure
        number = f"{len(self.orders):06d}"
        form = PaymentForm(
            url="https://provider.example/", method="POST", fields={"number": number}
        )
        return Handover(
            form=form,
            provider_day=NOW.date(),
            provider_number=number,
            reference=f"ref-{order.order_id}",
        )

    def read_notice(self, raw: RawNotice) -> Notice | Nudge:
        return self.notice

    async def ask(self, question: Question) -> Notice | None:
        self.was_asked_in_a_transaction |= self._units.is_open
        self.questions.append(question)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class FakeProviders:
    """One account for all, unless a régie has another."""

    def __init__(
        self,
        provider: Provider,
        others: dict[str, Provider | None] | None = None,
        terms: Terms | None = None,
    ) -> None:
        self._provider = provider
        self._others = others or {}
        self._terms = terms or Terms()

    def for_regies(self, authority: str, regies: set[str], route: str = "regie") -> Provider | None:
        found = {self._others.get(regie, self._provider) for regie in regies}
        return found.pop() if len(found) == 1 else None

    def by_account(self, provider: str, account: str) -> Provider | None:
        known = [self._provider, *(other for other in self._others.values() if other)]
        return next((one for one in known if (one.name, one.account) == (provider, account)), None)

    def terms(self, provider: str, account: str) -> Terms:
        return self._terms


UNAVAILABLE = ProviderUnavailableError("no answer in time")
