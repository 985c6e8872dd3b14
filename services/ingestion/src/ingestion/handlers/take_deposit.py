"""A biller deposits invoices: each line gets its outcome, the new ones become events."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID, uuid4

import msgspec

from ingestion import domain
from ingestion.domain import InvoiceDraft, Known, Rejection
from ingestion.ports import (
    AuthorityRow,
    Files,
    KeptInvoice,
    LineRow,
    OpenedDeposit,
    OpenUnit,
    Receipt,
    ReceivedDeposit,
    ReceivedFile,
)
from shared.clock import Clock, paris_date
from shared.errors import DomainError
from shared.events import InvoiceGenerated
from shared.events.invoice_generated import Line, Payer, StoredFile


class KeyReusedError(DomainError):
    """The idempotency key was used for another content (draft-ietf-httpapi-idempotency-key)."""

    slug = "idempotency-key-reused"


class UnknownAuthorityError(DomainError):
    """The token's authority has not been configured here yet."""

    slug = "unknown-authority"


class _Line:
    """One line on its way to an outcome."""

    def __init__(self, draft: InvoiceDraft, invoice_id: UUID, file: ReceivedFile | None) -> None:
        self.draft = draft
        self.invoice_id = invoice_id
        self.file = file
        self.fingerprint = domain.fingerprint(draft, file.sha256 if file else None)


_Refused = tuple[InvoiceDraft | None, Rejection]


class _Intake(msgspec.Struct, frozen=True, kw_only=True):
    """A deposit with all that its one transaction needs."""

    deposit: OpenedDeposit
    received: ReceivedDeposit
    authority: AuthorityRow
    lines: list[_Line | _Refused]
    stored: Mapping[str, StoredFile]


async def take_deposit(
    received: ReceivedDeposit, open_unit: OpenUnit, files: Files, clock: Clock
) -> Receipt:
    """Record a deposit and publish what is new; the same idempotency key gives the same receipt.

    Files are stored before the transaction and those that no invoice keeps are removed after it,
    so that no invoice is ever announced without its file.

    Raises:
        KeyReusedError: the key came before with another content.
        UnknownAuthorityError: nothing is known of the token's authority.
    """
    deposit_id = uuid4()
    async with open_unit() as unit:
        authority = await unit.deposits.authority(received.authority)
        if received.idempotency_key is not None:
            earlier = await unit.deposits.earlier_deposit(
                received.authority, received.client, received.idempotency_key
            )
            if earlier is not None:
                return await _replay(open_unit, earlier, received)
    if authority is None:
        message = "La collectivité de ce jeton n’est pas encore configurée."
        raise UnknownAuthorityError(message)
    now = clock.now()
    lines = [_check(entry, received, authority, now) for entry in received.lines]
    intake = _Intake(
        deposit=OpenedDeposit(
            deposit_id=deposit_id,
            authority=received.authority,
            client=received.client,
            idempotency_key=received.idempotency_key,
            body_sha256=received.body_sha256,
            format=received.format,
            received_at=now,
        ),
        received=received,
        authority=authority,
        lines=lines,
        stored=await _store_files(deposit_id, lines, files),
    )
    try:
        receipt, kept = await _record(intake, open_unit)
    except DomainError:
        await _remove_unused(intake.stored, set(), files)
        raise
    # After any other error the commit may have happened, so the files stay.
    await _remove_unused(intake.stored, kept, files)
    return receipt


def _check(
    entry: InvoiceDraft | Rejection,
    received: ReceivedDeposit,
    authority: AuthorityRow,
    now: datetime,
) -> _Line | _Refused:
    if isinstance(entry, Rejection):
        return (None, entry)
    regies = {
        code: domain.Regie(
            code=code,
            route=row.route,
            is_allowed=received.regies is None or code in received.regies,
        )
        for code, row in authority.regies.items()
    }
    problems = domain.validate(entry, authority_regies=regies, today=paris_date(now))
    if problems:
        return (entry, problems[0])
    file = None
    if entry.pdf is not None:
        refused = received.refused_files.get(entry.pdf)
        if refused is not None:
            return (entry, refused)
        file = received.files.get(entry.pdf)
        if file is None:
            return (
                entry,
                Rejection(
                    code="missing_document",
                    pointer="/pdf",
                    message="Le PDF annoncé n’est pas joint au dépôt.",
                ),
            )
    return _Line(entry, domain.invoice_id(received.authority, entry.regie, entry.number), file)


async def _store_files(
    deposit_id: UUID,
    lines: list[_Line | _Refused],
    files: Files,
) -> dict[str, StoredFile]:
    wanted = {
        line.file.sha256: line.file for line in lines if isinstance(line, _Line) and line.file
    }
    return {
        sha256: await files.put(f"deposits/{deposit_id}/{sha256}.pdf", file.content)
        for sha256, file in wanted.items()
    }


async def _remove_unused(stored: Mapping[str, StoredFile], kept: set[str], files: Files) -> None:
    for file in stored.values():
        if file.key not in kept:
            await files.delete(file.key)


async def _record(intake: _Intake, open_unit: OpenUnit) -> tuple[Receipt, set[str]]:
    received, deposit = intake.received, intake.deposit
    kept: set[str] = set()
    async with open_unit() as unit:
        if not await unit.deposits.open_deposit(deposit):
            # A twin request was quicker: its deposit is the answer to both.
            earlier = await unit.deposits.earlier_deposit(
                received.authority, received.client, received.idempotency_key or ""
            )
            if earlier is not None:
                return await _replay(open_unit, earlier, received), kept
        good = [line for line in intake.lines if isinstance(line, _Line)]
        places = {line.invoice_id: (line.draft.regie, line.draft.number) for line in good}
        now = deposit.received_at
        known = await unit.deposits.lock_invoices(received.authority, places, now)
        rows: list[LineRow] = []
        invoices: dict[UUID, KeptInvoice] = {}
        events: list[InvoiceGenerated] = []
        for position, line in enumerate(intake.lines):
            row = _settle(position, line, known)
            rows.append(row)
            if isinstance(line, _Line) and row.status in ("created", "superseded"):
                known[line.invoice_id] = Known(
                    version=line.draft.version, fingerprint=line.fingerprint
                )
                invoices[line.invoice_id] = _kept(line)
                document = intake.stored[line.file.sha256] if line.file else None
                if document is not None:
                    kept.add(document.key)
                events.append(_event(line, intake, document))
        await unit.deposits.keep_invoices(deposit.deposit_id, list(invoices.values()), now)
        await unit.deposits.remove_unused_places([i for i in places if i not in known])
        await unit.deposits.add_lines(deposit.deposit_id, rows)
        await unit.publish(events)
    return _receipt(deposit.deposit_id, rows), kept


def _settle(
    position: int,
    line: _Line | _Refused,
    known: Mapping[UUID, Known],
) -> LineRow:
    if isinstance(line, _Line):
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
        draft: InvoiceDraft | None = line.draft
        rejection = domain.CONFLICT
    else:
        draft, rejection = line
    # What the line itself said may be anything, so a rejected one is shown cut to size.
    return LineRow(
        position=position,
        regie=draft.regie[:64] if draft else None,
        number=draft.number[:64] if draft else None,
        status="rejected",
        code=rejection.code,
        pointer=(
            rejection.pointer
            if rejection.pointer.startswith("/invoices")
            else f"/invoices/{position}{rejection.pointer}"
        ),
        message=rejection.message,
    )


def _kept(line: _Line) -> KeptInvoice:
    return KeptInvoice(
        invoice_id=line.invoice_id,
        version=line.draft.version,
        fingerprint=line.fingerprint,
        kind=line.draft.kind,
        amount_cents=line.draft.amount_cents,
    )


def _event(line: _Line, intake: _Intake, document: StoredFile | None) -> InvoiceGenerated:
    draft, deposit = line.draft, intake.deposit
    return InvoiceGenerated(
        invoice_id=line.invoice_id,
        version=draft.version,
        deposit_id=deposit.deposit_id,
        authority=deposit.authority,
        authority_name=intake.authority.name,
        regie=draft.regie,
        regie_label=intake.authority.regies[draft.regie].label,
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
        lines=tuple(
            Line(
                label=entry.label,
                quantity=entry.quantity,
                unit_amount_cents=entry.unit_amount_cents,
                amount_cents=entry.amount_cents,
            )
            for entry in draft.lines
        ),
        document=document,
        fiscal_year=draft.fiscal_year,
        debt_reference=draft.debt_reference,
        generated_at=deposit.received_at,
    )


def _receipt(deposit_id: UUID, rows: list[LineRow]) -> Receipt:
    counts = Counter(row.status for row in rows)
    return Receipt(
        deposit_id=deposit_id,
        total=len(rows),
        created=counts["created"],
        unchanged=counts["unchanged"],
        superseded=counts["superseded"],
        rejected=counts["rejected"],
    )


async def _replay(
    open_unit: OpenUnit, earlier: tuple[UUID, str], received: ReceivedDeposit
) -> Receipt:
    deposit_id, body_sha256 = earlier
    if body_sha256 != received.body_sha256:
        message = "Cette clé d’idempotence a déjà servi pour un autre contenu."
        raise KeyReusedError(message)
    async with open_unit() as unit:
        deposit = await unit.deposits.find_deposit(deposit_id)
    if deposit is None:
        raise KeyReusedError(str(deposit_id))
    return Receipt(
        deposit_id=deposit.deposit_id,
        total=deposit.total,
        created=deposit.created,
        unchanged=deposit.unchanged,
        superseded=deposit.superseded,
        rejected=deposit.rejected,
    )
