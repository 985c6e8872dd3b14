"""The one query of whose invoices an account sees: every way of it has an index of its own."""

import asyncpg
import pytest

from gateway.store.invoices import OWN_INVOICE, OWN_INVOICES
from gateway.store.links import IS_LENT, NOTE_OTHERS, SEEN_PAYERS
from gateway.store.retrieval import PRINTED
from gateway.store.seen import VIEWERS
from gateway.store.sights import (
    LENT_BY,
    OF_ADDRESSES,
    OF_DELEGATION,
    OF_PAYER,
    OF_SAME_PAYER,
)
from shared.postgres import Connection
from tests.unit.gateway.door import NOW, Door

pytestmark = pytest.mark.enable_socket

FILL = """
INSERT INTO account (account_id, email, verified_at, created_at)
SELECT md5('a' || n)::uuid, 'u' || n || '@exemple.test', now(), now()
FROM generate_series(1, 2000) AS n;
INSERT INTO invoice (invoice_id, authority, regie, number, version, issued_on, due_on,
    readable_until, payer_email, payer_id, payer_words)
SELECT md5('i' || n)::uuid, 'town', 'R', '2026-' || n, 1, '2026-11-01', '2026-12-01',
    '2027-02-01', 'u' || n % 2000 || '@exemple.test', md5('p' || n % 4000)::uuid, '{x}'
FROM generate_series(1, 20000) AS n;
INSERT INTO link (link_id, account_id, payer_id, authority, payer_words, evidence, invoice_id,
    number, since)
SELECT gen_random_uuid(), md5('a' || n)::uuid, md5('p' || n)::uuid, 'town', '{x}', 'paper_code',
    md5('i' || n)::uuid, 'x', now()
FROM generate_series(1, 2000) AS n;
INSERT INTO delegation (delegation_id, owner_id, payer_ids, email, can_read, can_pay, invited_at,
    ends_at, secret_expires_at, delegate_id, accepted_at)
SELECT gen_random_uuid(), md5('a' || n)::uuid, ARRAY[md5('p' || n)::uuid], 'x', true, false,
    now(), '2028-01-01', now(), md5('a' || n + 1)::uuid, now()
FROM generate_series(1, 1999) AS n;
ANALYZE account, invoice, link, delegation;
"""
ACCOUNT = "md5('a17')::uuid"
INVOICE = "md5('i17')::uuid"


async def read_whole(connection: Connection, statement: str, *values: object) -> list[str]:
    """Return the large tables that a statement reads from end to end."""
    rows: list[asyncpg.Record] = await connection.fetch(f"EXPLAIN {statement}", *values)
    lines = [str(row[0]) for row in rows if "Seq Scan on" in row[0]]
    return [
        name
        for name in ("account", "invoice", "link", "delegation")
        if any(f"Seq Scan on {name} " in line for line in lines)
    ]


async def test_no_way_from_an_account_to_its_invoices_reads_a_whole_table(door: Door) -> None:
    """A town has a million invoices: links, address and delegations each start at their index."""
    async with door.database.transaction() as transaction:
        connection = transaction.connection
        await connection.execute(FILL)
        account = await connection.fetchval(f"SELECT {ACCOUNT}")
        invoice = await connection.fetchval(f"SELECT {INVOICE}")

        found = [
            await read_whole(connection, OWN_INVOICES, [account], NOW, 1000),
            await read_whole(connection, OWN_INVOICE, account, NOW, invoice),
            await read_whole(connection, SEEN_PAYERS, account),
            await read_whole(connection, VIEWERS, [invoice], NOW),
            await read_whole(connection, NOTE_OTHERS, account, invoice, "link-shared", NOW, 20),
            await read_whole(connection, IS_LENT, account, invoice, NOW),
            await read_whole(connection, PRINTED, "town", "202617"),
        ]
        changing = [
            await read_whole(connection, OF_PAYER, account),
            await read_whole(connection, OF_SAME_PAYER, invoice),
            await read_whole(connection, OF_DELEGATION, account),
            await read_whole(connection, LENT_BY, account),
            await read_whole(connection, OF_ADDRESSES, ["u17@exemple.test"]),
        ]
        seen = await connection.fetch(OWN_INVOICES, [account], NOW, 1000)

    assert found == [[]] * 7
    assert changing == [[], [], [], [], []]
    # Ten by the address, of which the link brings five too; five more by the delegation, to read.
    rights = [(row["can_read"], row["can_pay"]) for row in seen]
    assert (rights.count((True, True)), rights.count((True, False))) == (10, 5)
    assert len({row["invoice_id"] for row in seen}) == len(seen) == 15
