"""The SQL of who wants no paper any more."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from gateway.ports.paper import PaperChoice, PaperlessPayer
from gateway.store.rows import Rows
from gateway.store.seen import direct, holders
from shared.postgres import Connection

# Payers whom an account sees by itself, with the words of the names that it sees. A delegate's are
# not among them, nor payers whom the biller did not number: it would not know who is meant.
_OFFERED = f"""
SELECT invoice.payer_id, invoice.authority, invoice.payer_reference AS reference,
    array_agg(DISTINCT word) AS payer_words
FROM ({direct("$1")}) AS own JOIN invoice USING (invoice_id)
CROSS JOIN LATERAL unnest(invoice.payer_words) AS word
WHERE invoice.version > 0 AND invoice.payer_reference IS NOT NULL
    AND invoice.payer_id = own.payer_id
GROUP BY invoice.payer_id, invoice.authority, invoice.payer_reference
"""
# Invoices of whom the choice is about, and each account that sees one of them by itself.
_WATCHED = f"""
FROM invoice AS billed CROSS JOIN LATERAL ({holders("ARRAY[billed.invoice_id]")}) AS holder
WHERE billed.payer_id = paperless.payer_id AND billed.version > 0
    AND billed.payer_words && paperless.payer_words
"""
# A letter about a new invoice reaches somebody. A choice about the authority goes before the one
# about all of them, whose authority is empty and comes last; nothing said is wanted.
_TOLD = f"""
SELECT {_WATCHED} AND EXISTS (
    SELECT FROM account WHERE account.account_id = holder.account_id
        AND account.verified_at IS NOT NULL
        AND coalesce((
            SELECT choice.wanted FROM choice
            WHERE choice.account_id = account.account_id AND choice.event = 'invoice'
                AND choice.channel = 'email' AND choice.authority IN ('', billed.authority)
            ORDER BY choice.authority DESC LIMIT 1), true))
"""
CHOICES = f"""
SELECT offered.payer_id, offered.authority, paperless.chosen_at AS since
FROM ({_OFFERED}) AS offered LEFT JOIN paperless ON paperless.payer_id = offered.payer_id
    AND paperless.payer_words && offered.payer_words AND EXISTS ({_TOLD})
"""
# Somebody else with the same reference may have chosen too: the words of both names count.
STOP = f"""
INSERT INTO paperless (payer_id, authority, reference, payer_words, chosen_by, chosen_at)
SELECT payer_id, authority, reference, payer_words, $1, $3 FROM ({_OFFERED}) AS offered
WHERE payer_id = $2
ON CONFLICT (payer_id) DO UPDATE
SET payer_words = ARRAY(SELECT unnest(paperless.payer_words || EXCLUDED.payer_words) GROUP BY 1),
    chosen_by = EXCLUDED.chosen_by, chosen_at = EXCLUDED.chosen_at
"""
RESUME = f"""
DELETE FROM paperless USING ({_OFFERED}) AS offered
WHERE paperless.payer_id = $2 AND offered.payer_id = $2
    AND paperless.payer_words && offered.payer_words
"""
PAPERLESS = f"""
SELECT reference, chosen_at AS since FROM paperless
WHERE authority = $1 AND reference > $3
    AND EXISTS ({_TOLD} AND billed.regie = ANY($2))
ORDER BY reference LIMIT $4
"""
# What is about to be seen no more by an account that goes, whoever chose.
CHOSEN_OR_SEEN = f"""
SELECT payer_id FROM paperless WHERE chosen_by = $1
UNION
SELECT payer_id FROM ({direct("$1")}) AS own JOIN paperless USING (payer_id)
"""
_END_UNSEEN = f"DELETE FROM paperless WHERE NOT EXISTS (SELECT {_WATCHED})"
END_UNSEEN = _END_UNSEEN + "AND payer_id = ANY($1)"


async def end_unseen(connection: Connection, payer_ids: Sequence[UUID]) -> None:
    """Forget what was chosen for payers whom nobody sees by themselves any more."""
    await connection.execute(END_UNSEEN, list(payer_ids))


class PostgresPaper(Rows):
    """The choice between paper and none within one transaction; see `ports.Paper`."""

    async def paper_choices(self, account_id: UUID) -> list[PaperChoice]:
        """Return the payers whom an account sees by itself and whom their biller numbered."""
        rows = await self._connection.fetch(CHOICES, account_id)
        return [PaperChoice(**dict(row)) for row in rows]

    async def stop_paper(self, account_id: UUID, payer_id: UUID, now: datetime) -> None:
        """Keep that a payer wants no paper; nothing for one who is not the account's to choose."""
        await self._connection.execute(STOP, account_id, payer_id, now)

    async def resume_paper(self, account_id: UUID, payer_id: UUID) -> bool:
        """Give a payer paper again; False when they had it, or are not the account's to choose."""
        result = await self._connection.execute(RESUME, account_id, payer_id)
        return not result.endswith(" 0")

    async def paperless(
        self, authority: str, regies: Sequence[str], after: str, limit: int
    ) -> list[PaperlessPayer]:
        """Return payers of these régies who want no paper, by reference, from `after` on."""
        rows = await self._connection.fetch(PAPERLESS, authority, list(regies), after, limit)
        return [PaperlessPayer(**dict(row)) for row in rows]

    async def tidy_paper(self, _now: datetime) -> int:
        """Forget what was chosen for payers whom nobody sees any more; say how many."""
        result = await self._connection.execute(_END_UNSEEN)
        return int(result.rpartition(" ")[2])
