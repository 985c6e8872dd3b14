"""What is asked for many pages at once is answered to each as if it had asked alone."""

import asyncio
from datetime import timedelta

import pytest
import pytest_asyncio

from gateway.ports import Bucket
from gateway.store import PostgresPeople, PostgresPortal, digest
from gateway.store.lookups import PostgresLookups
from shared.postgres import Database
from tests.unit.gateway.door import EMAIL, INVOICE_ID, NOW, OTHER_INVOICE_ID, TOKEN, an_invoice

OTHER_TOKEN = "zyxwvutsrqponmlkjihgfe"
FREE = Bucket(name="code:address:192.0.2.1", free=30, longest_seconds=900)
CLOSED = Bucket(name="code:address:192.0.2.2", free=1, longest_seconds=900)

pytestmark = pytest.mark.enable_socket


@pytest_asyncio.fixture
async def lookups(database: Database) -> PostgresLookups:
    """Return lookups over two invoices, one of an authority that asks for more than the code."""
    other = an_invoice(invoice_id=OTHER_INVOICE_ID, token=OTHER_TOKEN, number="2026-0043")
    async with database.transaction() as transaction:
        portal = PostgresPortal(transaction)
        await portal.keep_invoices([an_invoice(), other])
        for _ in range(3):
            await portal.knock([CLOSED], NOW)
    return PostgresLookups(database)


async def test_each_asker_gets_the_answer_to_its_own_question(lookups: PostgresLookups) -> None:
    """Among them one that is unknown, and one from a place that must wait."""
    first, second, none, waiting = await asyncio.gather(
        lookups.paper(TOKEN, FREE),
        lookups.paper(OTHER_TOKEN, FREE),
        lookups.paper("nobody-was-given-this-0", FREE),
        lookups.paper(TOKEN, CLOSED),
    )

    assert first.invoice is not None
    assert second.invoice is not None
    assert (INVOICE_ID, OTHER_INVOICE_ID) == (
        first.invoice.invoice_id,
        second.invoice.invoice_id,
    )
    assert (None, None) == (none.invoice, none.wait)
    assert waiting.invoice is None
    assert waiting.wait is not None
    assert waiting.wait > timedelta(0)


async def test_an_authority_that_asks_for_more_is_told_with_its_invoice(
    lookups: PostgresLookups, database: Database
) -> None:
    """K9: off until it is set, and at once when it is."""
    before = await lookups.paper(TOKEN, FREE)
    async with database.transaction() as transaction:
        people = PostgresPeople(transaction.connection)
        content = b'{"regies":[],"second_proof":true}'
        await people.keep_authority("saint-aubin", "Ville de Saint-Aubin", 1, content)

    after = await lookups.paper(TOKEN, FREE)

    assert (False, True) == (before.needs_proof, after.needs_proof)


async def test_sessions_are_found_kept_awake_and_gone_when_they_end(
    lookups: PostgresLookups, database: Database
) -> None:
    """Nothing is remembered between two questions: a logout counts from the next page on."""
    secrets = ("a" * 43, "b" * 43)
    async with database.transaction() as transaction:
        people = PostgresPeople(transaction.connection)
        kept = await people.keep_account(INVOICE_ID, EMAIL, "hash", NOW, NOW)
        assert kept is not None
        for secret in secrets:
            await PostgresPortal(transaction).open_session(
                secret, NOW - timedelta(minutes=20), account_id=kept.account_id
            )

    first, second, nobody = await asyncio.gather(
        *(lookups.visitor(secret) for secret in (*secrets, "c" * 43))
    )
    async with database.transaction() as transaction:
        await PostgresPortal(transaction).end_session(secrets[0])
        seen = await transaction.connection.fetchval(
            "SELECT seen_at FROM session WHERE session_sha256 = $1", digest(secrets[1])
        )

    assert first is not None
    assert first == second
    assert (EMAIL, None) == (first.email, nobody)
    assert seen == NOW
    assert await lookups.visitor(secrets[0]) is None
