"""The SQL of what people want to be told."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from gateway.ports import Preferences, QuietHours
from gateway.store.rows import Rows
from shared.events import ContactUpdated
from shared.events.contact_updated import Choice

CHOICES = """
SELECT nullif(authority, '') AS authority, event, channel, wanted FROM choice
WHERE account_id = $1 ORDER BY authority NULLS FIRST, event, channel
"""
# Choosing again replaces what was chosen before.
KEEP_CHOICES = """
INSERT INTO choice (account_id, authority, event, channel, wanted)
SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::boolean[])
ON CONFLICT (account_id, authority, event, channel) DO UPDATE SET wanted = EXCLUDED.wanted
"""
FORGET_CHOICES = "DELETE FROM choice WHERE account_id = $1 AND authority = $2"
QUIET_HOURS = "SELECT quiet_from, quiet_until FROM quiet_hours WHERE account_id = $1"
# Choosing again replaces what was chosen before.
KEEP_QUIET_HOURS = """
INSERT INTO quiet_hours (account_id, quiet_from, quiet_until) VALUES ($1, $2, $3)
ON CONFLICT (account_id) DO UPDATE
SET quiet_from = EXCLUDED.quiet_from, quiet_until = EXCLUDED.quiet_until
"""
FORGET_QUIET_HOURS = "DELETE FROM quiet_hours WHERE account_id = $1"
# The account is locked, so that two changes at once are told in the order in which they hold.
CONTACT = """
SELECT email, language FROM account
WHERE account_id = $1 AND email IS NOT NULL AND verified_at IS NOT NULL FOR UPDATE
"""


class PostgresPreferences(Rows):
    """Preferences within one transaction; see `ports.PreferenceRows`."""

    async def preferences(self, account_id: UUID) -> Preferences:
        """Return what a person chose."""
        rows = await self._connection.fetch(CHOICES, account_id)
        quiet = await self._connection.fetchrow(QUIET_HOURS, account_id)
        return Preferences(
            choices=tuple(Choice(**dict(row)) for row in rows),
            quiet=QuietHours(**dict(quiet)) if quiet else None,
        )

    async def keep_choices(self, account_id: UUID, choices: Sequence[Choice]) -> None:
        """Keep choices in place of those about the same authority; all are about one."""
        await self._connection.execute(
            KEEP_CHOICES,
            account_id,
            [choice.authority or "" for choice in choices],
            [choice.event for choice in choices],
            [choice.channel for choice in choices],
            [choice.wanted for choice in choices],
        )

    async def forget_choices(self, account_id: UUID, authority: str) -> None:
        """Let an authority follow the default again; doing it twice is the same as once."""
        await self._connection.execute(FORGET_CHOICES, account_id, authority)

    async def keep_quiet_hours(self, account_id: UUID, quiet: QuietHours | None) -> None:
        """Keep the hours in which telephones stay silent, or none."""
        if quiet is None:
            await self._connection.execute(FORGET_QUIET_HOURS, account_id)
            return
        await self._connection.execute(
            KEEP_QUIET_HOURS, account_id, quiet.quiet_from, quiet.quiet_until
        )

    async def contact(self, account_id: UUID, now: datetime) -> ContactUpdated | None:
        """Return all that notification must know of an account; None before its address is proved.

        Whoever tells `contact.updated` tells this: the event replaces what was told before.
        """
        row = await self._connection.fetchrow(CONTACT, account_id)
        if row is None:
            return None
        chosen = await self.preferences(account_id)
        return ContactUpdated(
            account_id=account_id,
            email=row["email"],
            language=row["language"],
            choices=chosen.choices,
            quiet_from=chosen.quiet.quiet_from if chosen.quiet else None,
            quiet_until=chosen.quiet.quiet_until if chosen.quiet else None,
            updated_at=now,
        )
