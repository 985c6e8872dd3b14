"""The SQL of links: which payers an account sees, and why."""

from datetime import datetime
from uuid import UUID, uuid4

from gateway.ports.links import NewLink, PastLink, SeenPayer
from gateway.store.seen import direct
from gateway.store.sights import OF_PAYER, OF_SAME_PAYER, PostgresSights

# The payer and its name are read from the invoice here: no caller can link to another one. A link
# that is there already learns the words of this invoice, should they be others.
ADD_LINK = """
INSERT INTO link (link_id, account_id, payer_id, authority, payer_words, evidence, invoice_id,
    number, score, since)
SELECT $1, $2, payer_id, authority, payer_words, $4, invoice_id, number, $5, $6
FROM invoice WHERE invoice_id = $3 AND version > 0
ON CONFLICT (account_id, payer_id) WHERE revoked_at IS NULL DO UPDATE
SET payer_words = link.payer_words || EXCLUDED.payer_words
RETURNING link_id, payer_id
"""
LIFT_REFUSAL = "DELETE FROM refusal WHERE account_id = $1 AND payer_id = $2"
SEEN_PAYERS = f"""
SELECT own.payer_id, own.evidence, min(own.number) AS number, max(own.score) AS score,
    min(own.since) AS since, count(DISTINCT invoice.invoice_id) AS count,
    max(invoice.authority_name) AS authority_name,
    array_agg(DISTINCT invoice.regie_label ORDER BY invoice.regie_label) AS regie_labels,
    (array_agg(invoice.payer_name ORDER BY invoice.issued_on DESC))[1] AS payer_name
FROM ({direct("$1")}) AS own JOIN invoice USING (invoice_id)
WHERE invoice.version > 0
GROUP BY own.payer_id, own.evidence
ORDER BY authority_name, payer_name, own.payer_id, since
"""
PAST_LINKS = """
SELECT coalesce(authority.name, link.authority) AS authority_name, evidence, number, since,
    revoked_at, coalesce(revoked_why, '') AS revoked_why
FROM link LEFT JOIN authority ON authority.authority = link.authority
WHERE link.account_id = $1 AND revoked_at IS NOT NULL
ORDER BY revoked_at DESC LIMIT $2
"""
SEES = f"SELECT EXISTS (SELECT FROM ({direct('$1')}) AS own WHERE own.payer_id = $2)"
END_LINK = """
UPDATE link SET revoked_at = $3, revoked_by = 'owner', revoked_why = $4
WHERE account_id = $1 AND payer_id = $2 AND revoked_at IS NULL
"""
# Refusing twice is the same as once.
REFUSE = """
INSERT INTO refusal (account_id, payer_id, since) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
"""
# Nobody else's account is told what was shared with it before: the delegations end with the right.
DROP_FROM_DELEGATIONS = """
UPDATE delegation SET payer_ids = array_remove(payer_ids, $2)
WHERE owner_id = $1 AND $2 = ANY(payer_ids)
"""

PAST_LINKS_SHOWN = 50


class PostgresLinks(PostgresSights):
    """Links within one transaction; see `ports.Links`."""

    async def link(self, invoice_id: UUID, new: NewLink, now: datetime) -> bool:
        """Tie an account to the payer of an invoice; False when it was tied before."""
        link_id = uuid4()
        async with self.changing_sights(OF_SAME_PAYER, invoice_id):
            row = await self._connection.fetchrow(
                ADD_LINK, link_id, new.account_id, invoice_id, new.evidence, new.score, now
            )
            if row is None:
                return False
            await self._connection.execute(LIFT_REFUSAL, new.account_id, row["payer_id"])
        is_new: bool = row["link_id"] == link_id
        return is_new

    async def seen_payers(self, account_id: UUID) -> list[SeenPayer]:
        """Return every payer whom an account sees by itself, with each reason for it."""
        rows = await self._connection.fetch(SEEN_PAYERS, account_id)
        return [
            SeenPayer(**{**dict(row), "regie_labels": tuple(row["regie_labels"])}) for row in rows
        ]

    async def past_links(self, account_id: UUID) -> list[PastLink]:
        """Return the links of an account that ended, the latest first, up to a limit."""
        rows = await self._connection.fetch(PAST_LINKS, account_id, PAST_LINKS_SHOWN)
        return [PastLink(**dict(row)) for row in rows]

    async def revoke(self, account_id: UUID, payer_id: UUID, why: str, now: datetime) -> bool:
        """Show a payer's invoices no more and let nothing bring them back unasked."""
        if not await self._connection.fetchval(SEES, account_id, payer_id):
            return False
        async with self.changing_sights(OF_PAYER, payer_id):
            await self._connection.execute(END_LINK, account_id, payer_id, now, why)
            await self._connection.execute(REFUSE, account_id, payer_id, now)
            await self._connection.execute(DROP_FROM_DELEGATIONS, account_id, payer_id)
        return True
