"""The SQL of links: which payers an account sees, and why."""

from datetime import datetime
from uuid import UUID, uuid4

from gateway.ports.links import NewLink, OtherHolder, PastLink, SeenPayer
from gateway.store.seen import direct, holders, seen
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
# How many others see them is told, never who.
SEEN_PAYERS = f"""
WITH own AS MATERIALIZED ({direct("$1")}), others AS (
    SELECT own.payer_id, count(DISTINCT holder.account_id) AS others
    FROM own JOIN ({holders("ARRAY(SELECT invoice_id FROM own)")}) AS holder USING (invoice_id)
    WHERE holder.account_id <> $1
    GROUP BY own.payer_id
)
SELECT own.payer_id, own.evidence, min(own.number) AS number, max(own.score) AS score,
    min(own.since) AS since, count(DISTINCT invoice.invoice_id) AS count,
    max(invoice.authority_name) AS authority_name,
    array_agg(DISTINCT invoice.regie_label ORDER BY invoice.regie_label) AS regie_labels,
    (array_agg(invoice.payer_name ORDER BY invoice.issued_on DESC))[1] AS payer_name,
    coalesce(max(others.others), 0) AS others
FROM own JOIN invoice USING (invoice_id) LEFT JOIN others ON others.payer_id = own.payer_id
WHERE invoice.version > 0
GROUP BY own.payer_id, own.evidence
ORDER BY authority_name, payer_name, own.payer_id, since
"""
# Delegates are not told: what they see is their owner's. LATERAL with a limit, so that each account
# is read by its key: how many there are cannot be estimated.
NOTE_OTHERS = f"""
WITH shared AS MATERIALIZED (
    SELECT own.invoice_id FROM ({direct("$1")}) AS own
    JOIN invoice AS proved ON proved.payer_id = own.payer_id
    WHERE proved.invoice_id = $2
), noted AS (
    INSERT INTO account_event (account_id, kind, occurred_at, subscriber, browser)
    SELECT DISTINCT account_id, $3, $4::timestamptz, '', ''
    FROM ({holders("ARRAY(SELECT invoice_id FROM shared)")}) AS holder
    WHERE account_id <> $1
    RETURNING account_id
)
SELECT other.email, other.language
FROM noted CROSS JOIN LATERAL (
    SELECT * FROM account WHERE account.account_id = noted.account_id LIMIT 1
) AS other
WHERE other.email IS NOT NULL AND other.verified_at IS NOT NULL
ORDER BY other.created_at, other.account_id LIMIT $5
"""
# Also by an invoice of the payer that was not lent, where another of the same person is.
IS_LENT = f"""
SELECT NOT coalesce(bool_or(sight.is_own), true)
FROM invoice AS proved JOIN invoice AS other ON other.payer_id = proved.payer_id
    AND (other.payer_words && proved.payer_words OR other.invoice_id = proved.invoice_id)
JOIN ({seen("$1", "$3")}) AS sight ON sight.invoice_id = other.invoice_id
WHERE proved.invoice_id = $2
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
OTHERS_WRITTEN_TO = 20
"""Of those who see a payer too: a family and its helpers are fewer."""


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

    async def note_others(
        self, account_id: UUID, invoice_id: UUID, kind: str, now: datetime
    ) -> list[OtherHolder]:
        """Write down, for who sees an invoice's payer too, that an account now does; return them.

        Only those with a proved address, up to a limit; who it is that sees them is not written.
        """
        rows = await self._connection.fetch(
            NOTE_OTHERS, account_id, invoice_id, kind, now, OTHERS_WRITTEN_TO
        )
        return [OtherHolder(**dict(row)) for row in rows]

    async def is_lent(self, account_id: UUID, invoice_id: UUID, now: datetime) -> bool:
        """Tell whether an account sees the payer of an invoice by a delegation alone."""
        found: bool = await self._connection.fetchval(IS_LENT, account_id, invoice_id, now)
        return found

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
