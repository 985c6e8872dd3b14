"""Records the lines of a deposit that was read: outcomes, invoices held, events."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from ingestion import domain
from ingestion.domain import InvoiceDraft, Known, Rejection, Release
from ingestion.ports import (
    AuthorityRow,
    CheckedLine,
    DepositRow,
    HeldInvoice,
    InvoiceRow,
    LineRow,
    Totals,
    Unit,
    document_key,
)
from shared.errors import TransientError
from shared.events import InvoiceGenerated
from shared.events.invoice_generated import Line, Payer, PayerIdentity, StoredFile


class ContendedError(TransientError):
    """Another deposit brought the same invoice at the same moment: try again, knowing it."""

    slug = "contended"


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """A deposit, and how what it brings is to be recorded."""

    deposit: DepositRow
    authority: AuthorityRow
    release: Release
    at: datetime


async def record(
    batches: Iterable[Sequence[CheckedLine]], recording: Recording, unit: Unit
) -> tuple[Totals, set[str]]:
    """Record every line within the transaction of `unit`.

    Returns the totals, and the SHA-256 of the documents that invoices now hold.

    Raises:
        ContendedError: the whole transaction is to be tried again.
    """
    recorder = _Recorder(recording, unit)
    for batch in batches:
        await recorder.record(batch)
    return recorder.totals, recorder.documents


class _Recorder:
    """Records one batch after another, counting."""

    def __init__(self, recording: Recording, unit: Unit) -> None:
        self.totals = Totals()
        self.documents: set[str] = set()
        self._recording = recording
        self._unit = unit
        # A dry run writes no invoice: what its earlier lines would have brought is kept here.
        self._imagined: dict[UUID, Known] = {}

    async def record(self, batch: Sequence[CheckedLine]) -> None:
        deposit = self._recording.deposit
        first = self.totals.total
        ids = [line.invoice_id for line in batch if line.invoice_id is not None]
        held = await self._unit.invoices.lock(ids)
        known = {
            invoice_id: Known(version=row.version, fingerprint=row.fingerprint)
            for invoice_id, row in held.items()
            # A refused version counts as never held, so that it can be sent again as it was.
            if row.state != "refused"
        } | {i: self._imagined[i] for i in ids if i in self._imagined}
        own = {i for i, row in held.items() if row.deposit_id == deposit.deposit_id}
        own |= self._imagined.keys()
        changed: dict[UUID, InvoiceRow] = {}
        rows: list[LineRow] = []
        news: list[tuple[InvoiceGenerated, InvoiceRow | None]] = []
        positions: list[int] = []
        for position, line in enumerate(batch, start=first):
            row = _settle(position, line, known, own)
            rows.append(row)
            self._count(line, row)
            if line.draft is None or line.invoice_id is None:
                continue
            if row.status in ("created", "superseded"):
                known[line.invoice_id] = Known(
                    version=line.draft.version, fingerprint=line.fingerprint
                )
                own.add(line.invoice_id)
                earlier = changed.get(line.invoice_id, held.get(line.invoice_id))
                news.append((self._event(line, line.draft, line.invoice_id), earlier))
                positions.append(position)
                changed[line.invoice_id] = self._row(line, line.draft, position)
        await self._unit.deposits.add_lines(deposit.deposit_id, rows)
        if deposit.is_dry_run:
            self._imagined |= {i: known[i] for i in changed}
            return
        await self._keep(held, list(changed.values()))
        await self._send(positions, news)

    async def _keep(self, held: dict[UUID, InvoiceRow], changed: list[InvoiceRow]) -> None:
        new = [row for row in changed if row.invoice_id not in held]
        if await self._unit.invoices.add(new) < len(new):
            raise ContendedError
        await self._unit.invoices.replace([row for row in changed if row.invoice_id in held])

    async def _send(
        self, positions: list[int], news: list[tuple[InvoiceGenerated, InvoiceRow | None]]
    ) -> None:
        if self._recording.release is not Release.HELD:
            await self._unit.publish([event for event, _ in news])
            return
        await self._unit.invoices.hold(
            self._recording.deposit.deposit_id,
            [
                HeldInvoice(position=position, event=event, earlier=earlier)
                for position, (event, earlier) in zip(positions, news, strict=True)
            ],
        )

    def _count(self, line: CheckedLine, row: LineRow) -> None:
        totals = self.totals
        totals.total += 1
        setattr(totals, row.status, getattr(totals, row.status) + 1)
        if row.status in ("created", "superseded") and line.draft is not None:
            is_owed = line.draft.kind == "invoice"
            totals.amount_cents += line.draft.amount_cents if is_owed else -line.draft.amount_cents

    def _row(self, line: CheckedLine, draft: InvoiceDraft, position: int) -> InvoiceRow:
        deposit = self._recording.deposit
        if line.document is not None:
            self.documents.add(line.document.sha256)
        return InvoiceRow(
            invoice_id=line.invoice_id or UUID(int=0),
            authority=deposit.authority,
            regie=draft.regie,
            number=draft.number,
            version=draft.version,
            fingerprint=line.fingerprint,
            state="held" if self._recording.release is Release.HELD else "generated",
            kind=draft.kind,
            amount_cents=draft.amount_cents,
            deposit_id=deposit.deposit_id,
            position=position,
            reason=None,
            changed_at=self._recording.at,
        )

    def _event(self, line: CheckedLine, draft: InvoiceDraft, invoice_id: UUID) -> InvoiceGenerated:
        deposit, authority = self._recording.deposit, self._recording.authority
        document = line.document
        return InvoiceGenerated(
            invoice_id=invoice_id,
            version=draft.version,
            deposit_id=deposit.deposit_id,
            authority=deposit.authority,
            authority_name=authority.name,
            regie=draft.regie,
            regie_label=authority.regies[draft.regie].label,
            number=draft.number,
            kind=draft.kind,
            route=draft.route,
            subject=draft.subject,
            issued_on=draft.issued_on,
            due_on=draft.due_on,
            amount_cents=draft.amount_cents,
            currency="EUR",
            payer=Payer(
                reference=draft.payer.reference,
                name=draft.payer.name,
                email=draft.payer.email,
                phone=draft.payer.phone,
                address=draft.payer.address or (),
            ),
            payer_identity=_identity(draft),
            lines=tuple(
                Line(
                    label=entry.label,
                    quantity=entry.quantity,
                    unit_amount_cents=entry.unit_amount_cents,
                    amount_cents=entry.amount_cents,
                )
                for entry in draft.lines
            ),
            document=StoredFile(
                key=document_key(deposit, document),
                size_bytes=document.size_bytes,
                sha256=document.sha256,
            )
            if document is not None
            else None,
            fiscal_year=draft.fiscal_year,
            debt_reference=draft.debt_reference,
            generated_at=self._recording.at,
        )


def _identity(draft: InvoiceDraft) -> PayerIdentity | None:
    found = draft.payer.identity
    if found is None:
        return None
    return PayerIdentity(
        family_name=found.family_name,
        given_names=found.given_names,
        birthdate=found.birthdate,
        gender=found.gender,
        birthplace=found.birthplace,
        birthcountry=found.birthcountry,
    )


def _settle(position: int, line: CheckedLine, known: dict[UUID, Known], own: set[UUID]) -> LineRow:
    rejection = line.rejection
    if line.draft is not None and line.invoice_id is not None:
        decision = domain.decide(known.get(line.invoice_id), line.draft, line.fingerprint)
        if decision != "conflict":
            return LineRow(
                position=position,
                regie=line.draft.regie,
                number=line.draft.number,
                invoice_id=line.invoice_id,
                version=line.draft.version,
                status=decision,
            )
        rejection = domain.DUPLICATE if line.invoice_id in own else domain.CONFLICT
    why = rejection or Rejection(code="unreadable", pointer="", message="")
    return LineRow(
        position=position,
        regie=line.draft.regie if line.draft else line.regie,
        number=line.draft.number if line.draft else line.number,
        status="rejected",
        code=why.code,
        pointer=line.place + why.pointer,
        message=why.message,
    )
