"""The SQL of all that is kept of one account, for its owner to take away."""

from uuid import UUID

from gateway.ports import PersonalTable
from gateway.store.rows import Rows

# Every table that follows an account when it is deleted, or that names it: whatever a room of the
# portal keeps of people is found here without that room's doing.
TABLES = """
SELECT pg_class.relname AS name, array_agg(pg_attribute.attname) AS holders,
    array(SELECT attname FROM pg_attribute AS kept
          WHERE kept.attrelid = pg_class.oid AND kept.attnum > 0 AND NOT kept.attisdropped
              AND kept.atttypid <> 'bytea'::regtype AND NOT kept.attname = ANY($1)
          ORDER BY kept.attnum) AS columns
FROM pg_constraint
JOIN pg_class ON pg_class.oid = pg_constraint.conrelid
JOIN pg_attribute ON pg_attribute.attrelid = pg_class.oid
    AND pg_attribute.attnum = pg_constraint.conkey[1]
WHERE pg_constraint.contype = 'f' AND pg_constraint.confrelid = 'account'::regclass
GROUP BY pg_class.oid, pg_class.relname ORDER BY pg_class.relname
"""
ACCOUNT = """
SELECT account_id, email, verified_at, created_at, display_name, language,
    password_hash IS NOT NULL AS has_password
FROM account WHERE account_id = $1
"""
INVOICES = """
SELECT invoice_id, authority_name, regie_label, number, subject, issued_on, due_on, amount_cents,
    payer_name, published_at
FROM invoice WHERE invoice_id = ANY($1) ORDER BY issued_on, number
"""
MOVEMENTS = """
SELECT invoice_id, payment_id, amount_cents, means, occurred_at
FROM movement WHERE invoice_id = ANY($1) ORDER BY occurred_at, fact
"""
SECRETS = ("password_hash", "nonce", "verifier", "state", "endpoint", "p256dh", "auth")
"""Columns of text that open something; digests, sealed secrets and keys are bytes, all left out."""
OF_OTHERS = ("agent_login",)
"""Columns that name somebody else: who of the authority acted is the authority's to tell."""


class PostgresPersonalData(Rows):
    """What is kept of an account within one transaction; see `ports.AccountRecords`."""

    async def personal_data(self, account_id: UUID, invoice_ids: list[UUID]) -> list[PersonalTable]:
        """Return all that is kept of an account and of its invoices (RGPD, articles 15 and 20)."""
        found = [
            PersonalTable(name=name, rows=[dict(row) for row in rows])
            for name, rows in (
                ("account", await self._connection.fetch(ACCOUNT, account_id)),
                ("invoice", await self._connection.fetch(INVOICES, invoice_ids)),
                ("movement", await self._connection.fetch(MOVEMENTS, invoice_ids)),
            )
        ]
        for table in await self._connection.fetch(TABLES, [*SECRETS, *OF_OTHERS]):
            # The names come from the catalogue of this very database, the value is a parameter.
            columns, holders = _listed(table["columns"]), _listed(table["holders"])
            statement = f'SELECT {columns} FROM "{table["name"]}" WHERE $1 IN ({holders})'
            rows = await self._connection.fetch(statement, account_id)
            found.append(PersonalTable(name=table["name"], rows=[dict(row) for row in rows]))
        return found


def _listed(names: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
