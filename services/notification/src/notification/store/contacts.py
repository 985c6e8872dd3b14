"""Accounts: their addresses and wishes, what they see, their devices and what is pushed to them."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from notification.domain import Contact, Device, Push, View, Wishes, fingerprint, latest
from notification.store.rows import (
    CONTACTS,
    DEVICES,
    SEEING,
    as_json,
    contacts_by_id,
    devices_of,
)
from shared.events import ContactUpdated
from shared.postgres import Connection

# An account's earlier addresses follow its latest wish, unless a newer one is known.
FOLLOW_WISH = """
UPDATE wish SET wants_email = $2, updated_at = $3 WHERE account_id = $1 AND updated_at < $3
"""
# Events of two accounts may name one address: the newer wish counts.
KEEP_WISH = """
INSERT INTO wish (address_hash, account_id, wants_email, updated_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (address_hash) DO UPDATE SET account_id = EXCLUDED.account_id,
    wants_email = EXCLUDED.wants_email, updated_at = EXCLUDED.updated_at
WHERE wish.updated_at < EXCLUDED.updated_at
"""

# Sorted, so that two transactions never hold places for each other; a place already held is enough.
HOLD_ACCOUNTS = """
INSERT INTO contact (account_id) SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING
"""
# Locked in one order everywhere, for the same reason.
LOCK_ACCOUNTS = """
SELECT account_id FROM contact WHERE account_id = ANY($1::uuid[]) ORDER BY account_id FOR UPDATE
"""
# Events of one account are read in their order, but a replay meets the old ones again. An account
# that is closed stays closed.
KEEP_CONTACT = """
INSERT INTO contact (account_id, email, wishes, updated_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (account_id) DO UPDATE SET email = EXCLUDED.email, wishes = EXCLUDED.wishes,
    updated_at = EXCLUDED.updated_at
WHERE contact.updated_at IS NULL
    OR (contact.email IS NOT NULL AND contact.updated_at < EXCLUDED.updated_at)
"""
FORGET_DEVICES = "DELETE FROM device WHERE account_id = $1"
FORGET_VIEWS = "DELETE FROM viewer WHERE account_id = $1"
FORGET_PUSHES = "DELETE FROM push WHERE account_id = $1"

# What is read again, or late, changes nothing: the later moment counts, and of two that are told of
# one moment the one that shows less (as `View.rank` has it).
KEEP_VIEWS = """
INSERT INTO viewer (invoice_id, account_id, told_at, is_seeing, seen_until)
SELECT t.invoice_id, t.account_id, t.told_at, t.is_seeing, t.seen_until
FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::boolean[], $5::timestamptz[])
    AS t (invoice_id, account_id, told_at, is_seeing, seen_until)
WHERE NOT EXISTS (
    SELECT FROM contact
    WHERE contact.account_id = t.account_id AND updated_at IS NOT NULL AND email IS NULL
)
ON CONFLICT (invoice_id, account_id) DO UPDATE SET told_at = EXCLUDED.told_at,
    is_seeing = EXCLUDED.is_seeing, seen_until = EXCLUDED.seen_until
WHERE (viewer.told_at, NOT viewer.is_seeing) < (EXCLUDED.told_at, NOT EXCLUDED.is_seeing)
    OR ((viewer.told_at, viewer.is_seeing) = (EXCLUDED.told_at, EXCLUDED.is_seeing)
        AND coalesce(EXCLUDED.seen_until, 'infinity') < coalesce(viewer.seen_until, 'infinity'))
"""
VIEWERS = f"""
SELECT invoice_id, account_id FROM viewer WHERE invoice_id = ANY($1::uuid[]) AND {SEEING}
ORDER BY invoice_id, account_id
"""

# A push about the same fact to the same device exists, perhaps sent: it is left as it is.
ADD_PUSHES = """
INSERT INTO push (push_id, kind, fact_key, account_id, device_id, host, is_test, news, state,
                  written_at, due_at)
SELECT push_id, kind, fact_key, account_id, device_id, host, kind = 'test', news, 'waiting',
       $8::timestamptz, $8::timestamptz
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::uuid[], $6::text[], $7::jsonb[])
    AS t (push_id, kind, fact_key, account_id, device_id, host, news)
ON CONFLICT DO NOTHING
"""


class PostgresContacts:
    """What is known of accounts, within one transaction."""

    def __init__(self, connection: Connection, now: datetime) -> None:
        """Work within the transaction of `connection`; letters and pushes are dated `now`."""
        self._connection = connection
        self._now = now

    async def lock_accounts(self, account_ids: Collection[UUID]) -> dict[UUID, Contact]:
        """Return the accounts known, holding a lock on each of these ids, known or not."""
        ordered = sorted(account_ids)
        await self._connection.execute(HOLD_ACCOUNTS, ordered)
        await self._connection.execute(LOCK_ACCOUNTS, ordered)
        return await self.contacts(ordered)

    async def contacts(self, account_ids: Collection[UUID]) -> dict[UUID, Contact]:
        """Return the accounts known, closed ones too, without a lock."""
        if not account_ids:
            return {}
        return contacts_by_id(await self._connection.fetch(CONTACTS, list(account_ids)))

    async def keep_contact(self, contact: ContactUpdated) -> None:
        """Remember an account's address and wishes; of a closed one only that it is closed."""
        is_open = contact.email is not None
        await self._connection.execute(
            KEEP_CONTACT,
            contact.account_id,
            contact.email,
            as_json(Wishes.of(contact)) if is_open else None,
            contact.updated_at,
        )
        if not is_open:
            for statement in (FORGET_DEVICES, FORGET_VIEWS, FORGET_PUSHES):
                await self._connection.execute(statement, contact.account_id)

    async def keep_wish(self, contact: ContactUpdated) -> None:
        """Remember whether the account wants e-mail, at each address it ever proved.

        A closed account (no address) leaves its last wish standing: closing it asks for no mail.
        """
        if contact.email is None:
            return
        at = contact.updated_at
        await self._connection.execute(FOLLOW_WISH, contact.account_id, contact.wants_email, at)
        await self._connection.execute(
            KEEP_WISH, fingerprint(contact.email), contact.account_id, contact.wants_email, at
        )

    async def keep_views(self, views: Sequence[View]) -> None:
        """Remember who sees what and who does no more, but for accounts that are closed."""
        counting = latest(views)
        await self._connection.execute(
            KEEP_VIEWS,
            [view.invoice_id for view in counting],
            [view.account_id for view in counting],
            [view.told_at for view in counting],
            [view.is_seeing for view in counting],
            [view.seen_until for view in counting],
        )

    async def viewers(self, invoice_ids: Collection[UUID]) -> dict[UUID, list[UUID]]:
        """Return which accounts see each invoice now."""
        viewers: dict[UUID, list[UUID]] = {}
        for row in await self._connection.fetch(VIEWERS, list(invoice_ids), self._now):
            viewers.setdefault(row["invoice_id"], []).append(row["account_id"])
        return viewers

    async def devices(self, account_ids: Collection[UUID]) -> list[Device]:
        """Return the devices of these accounts."""
        return devices_of(await self._connection.fetch(DEVICES, list(account_ids)))

    async def add_pushes(self, pushes: Sequence[Push]) -> None:
        """Add pushes to send; one about the same fact to the same device is left as it is."""
        if not pushes:
            return
        ordered = sorted(pushes, key=lambda push: push.push_id)
        await self._connection.execute(
            ADD_PUSHES,
            [push.push_id for push in ordered],
            [push.kind for push in ordered],
            [push.fact_key for push in ordered],
            [push.account_id for push in ordered],
            [push.device_id for push in ordered],
            [push.host for push in ordered],
            [as_json(push.news) for push in ordered],
            self._now,
        )
