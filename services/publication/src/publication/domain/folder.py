"""The life of a folder: what may follow what, and until when a document is readable."""

import secrets
from datetime import date, datetime, timedelta
from enum import StrEnum
from uuid import UUID

import msgspec

from shared.clock import paris_date
from shared.events import InvoiceGenerated, InvoicePublished, InvoiceRefused
from shared.events.invoice_generated import StoredFile

TOKEN_BYTES = 16
"""128 random bits: nobody finds an invoice by guessing."""


class FolderState(StrEnum):
    """Where a folder stands."""

    WAITING = "waiting"
    PUBLISHED = "published"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    PURGED = "purged"


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a folder before a new fact arrives."""

    version: int
    state: FolderState


def new_token() -> str:
    """Return the secret part of a new public address: 22 characters."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def must_publish(standing: Standing | None, version: int) -> bool:
    """Tell whether `version` is news: first, higher, or a second try after a refusal."""
    if standing is None or version > standing.version:
        return True
    return version == standing.version and standing.state is FolderState.REFUSED


def must_withdraw(standing: Standing | None, version: int) -> bool:
    """Tell whether withdrawing up to `version` still concerns the folder."""
    return standing is None or standing.version <= version


def readable_until(published_at: datetime, readable_days: int) -> date:
    """Return the last day, in France, on which the document is shown."""
    return paris_date(published_at) + timedelta(days=readable_days)


def published_event(
    request: InvoiceGenerated, *, token: str, document: StoredFile, at: datetime, readable_days: int
) -> InvoicePublished:
    """Return the fact that `request` is public as `document`."""
    return InvoicePublished(
        invoice_id=request.invoice_id,
        version=request.version,
        authority=request.authority,
        authority_name=request.authority_name,
        regie=request.regie,
        regie_label=request.regie_label,
        number=request.number,
        kind=request.kind,
        route=request.route,
        subject=request.subject,
        issued_on=request.issued_on,
        due_on=request.due_on,
        amount_cents=request.amount_cents,
        currency=request.currency,
        payer=request.payer,
        payer_identity=request.payer_identity,
        fiscal_year=request.fiscal_year,
        debt_reference=request.debt_reference,
        token=token,
        document=document,
        generated_at=request.generated_at,
        published_at=at,
        readable_until=readable_until(at, readable_days),
    )


def refused_event(
    request: InvoiceGenerated, *, code: str, detail: str, at: datetime
) -> InvoiceRefused:
    """Return the fact that the document of `request` cannot be shown."""
    return InvoiceRefused(
        invoice_id=request.invoice_id,
        version=request.version,
        deposit_id=request.deposit_id,
        authority=request.authority,
        regie=request.regie,
        number=request.number,
        code=code,
        detail=detail,
        refused_at=at,
    )


def document_key(invoice_id: UUID, version: int, name: str) -> str:
    """Return where a published file is kept."""
    return f"published/{invoice_id}/v{version}/{name}.pdf"
