"""Rows of the tables that several stores read."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from notification.domain import Contact, Device, Invoice, Wishes

# Read by whoever tells a fact and by whoever sends what tells it.
INVOICES = """
SELECT details FROM invoice WHERE invoice_id = ANY($1::uuid[]) AND details IS NOT NULL
"""
PAID = """
SELECT invoice_id, sum(amount_cents)::bigint AS paid_cents FROM movement
WHERE invoice_id = ANY($1::uuid[]) GROUP BY invoice_id
"""
CONTACTS = """
SELECT account_id, email, wishes FROM contact
WHERE account_id = ANY($1::uuid[]) AND updated_at IS NOT NULL
"""
DEVICE_COLUMNS = """
account_id, device_id, endpoint, host, p256dh, auth, label, language, registered_at,
last_sent_at
"""
DEVICES = f"""
SELECT {DEVICE_COLUMNS} FROM device WHERE account_id = ANY($1::uuid[])
ORDER BY account_id, registered_at, device_id
"""
# True of rows of `viewer` whose account sees the invoice at the moment `$2`.
SEEING = "is_seeing AND (seen_until IS NULL OR seen_until > $2)"

_invoices = msgspec.json.Decoder(Invoice)
_wishes = msgspec.json.Decoder(Wishes)


def as_json(content: msgspec.Struct) -> str:
    """Return a struct as PostgreSQL takes it."""
    return msgspec.json.encode(content).decode()


def invoices_by_id(rows: Sequence[Any]) -> dict[UUID, Invoice]:
    """Return the invoices of rows, but for places that are held for others."""
    invoices = [_invoices.decode(row["details"]) for row in rows if row["details"] is not None]
    return {invoice.invoice_id: invoice for invoice in invoices}


def paid_by_id(rows: Sequence[Any]) -> dict[UUID, int]:
    """Return what reached each invoice, in cents."""
    return {row["invoice_id"]: row["paid_cents"] for row in rows}


def contacts_by_id(rows: Sequence[Any]) -> dict[UUID, Contact]:
    """Return the accounts of rows."""
    return {
        row["account_id"]: Contact(
            account_id=row["account_id"],
            email=row["email"],
            wishes=_wishes.decode(row["wishes"]) if row["wishes"] else Wishes(),
        )
        for row in rows
    }


def devices_of(rows: Sequence[Any]) -> list[Device]:
    """Return the devices of rows."""
    return [Device(**dict(row.items())) for row in rows]
