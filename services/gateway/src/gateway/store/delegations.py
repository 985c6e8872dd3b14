"""The SQL of what owners of accounts let others do with invoices."""

from datetime import datetime
from typing import Any
from uuid import UUID

from gateway.ports.links import Delegation, Invitation
from gateway.store.sights import OF_DELEGATION, PostgresSights
from gateway.store.visitors import digest

INVITE = """
INSERT INTO delegation (delegation_id, owner_id, payer_ids, email, can_read, can_pay, invited_at,
    ends_at, secret_sha256, secret_expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""
# Payers are told by authority and name, as their newest invoice has them.
DELEGATION = """
SELECT delegation_id, owner_id,
    coalesce(nullif(owner.display_name, ''), owner.email, '') AS owner, delegation.email,
    coalesce(nullif(other.display_name, ''), other.email, '') AS delegate, can_read, can_pay,
    invited_at, secret_expires_at, ends_at, accepted_at, ended_at, ended_by, payer_ids,
    ARRAY(
        SELECT (array_agg(invoice.authority_name || ' – ' || invoice.payer_name
                          ORDER BY invoice.issued_on DESC))[1]
        FROM invoice WHERE invoice.payer_id = ANY(payer_ids) AND invoice.version > 0
        GROUP BY invoice.payer_id ORDER BY 1) AS payers
FROM delegation JOIN account AS owner ON owner.account_id = delegation.owner_id
LEFT JOIN account AS other ON other.account_id = delegation.delegate_id
"""
INVITATION = (
    DELEGATION
    + """
WHERE secret_sha256 = $1 AND accepted_at IS NULL AND ended_at IS NULL AND secret_expires_at > $2
    AND ends_at > $2
"""
)
# One statement reads and spends the secret: of two who bring it at once, one gets nothing.
ACCEPT = """
UPDATE delegation SET delegate_id = $2, accepted_at = $3, secret_sha256 = NULL
WHERE secret_sha256 = $1 AND accepted_at IS NULL AND ended_at IS NULL AND secret_expires_at > $3
    AND ends_at > $3 AND owner_id <> $2
RETURNING delegation_id
"""
INVITED = "SELECT delegation_id FROM delegation WHERE secret_sha256 = $1"
BY_ID = DELEGATION + "WHERE delegation_id = $1"
DELEGATIONS_OF = (
    DELEGATION
    + "WHERE owner_id = $1 OR delegate_id = $1 ORDER BY invited_at DESC, delegation_id LIMIT $2"
)
IS_PARTY = """
SELECT EXISTS (
    SELECT FROM delegation WHERE delegation_id = $2 AND (owner_id = $1 OR delegate_id = $1)
)
"""
END = """
UPDATE delegation SET ended_at = $3, secret_sha256 = NULL,
    ended_by = CASE WHEN owner_id = $1 THEN 'owner' ELSE 'delegate' END
WHERE delegation_id = $2 AND (owner_id = $1 OR delegate_id = $1) AND ended_at IS NULL
"""

DELEGATIONS_SHOWN = 100


class PostgresDelegations(PostgresSights):
    """Delegations within one transaction; see `ports.Delegations`."""

    async def invite(
        self, invitation: Invitation, secret: str, until: datetime, now: datetime
    ) -> None:
        """Keep an invitation, good once until `until`, under a secret."""
        await self._connection.execute(
            INVITE,
            invitation.delegation_id,
            invitation.owner_id,
            list(invitation.payer_ids),
            invitation.email,
            invitation.can_read,
            invitation.can_pay,
            now,
            invitation.ends_at,
            digest(secret),
            until,
        )

    async def invitation(self, secret: str, now: datetime) -> Delegation | None:
        """Return the invitation of a secret that can still be accepted, or None."""
        row = await self._connection.fetchrow(INVITATION, digest(secret), now)
        return _delegation(row) if row else None

    async def accept(self, secret: str, account_id: UUID, now: datetime) -> Delegation | None:
        """Give an invitation to an account and use its secret up; None when it cannot be."""
        found: UUID | None = await self._connection.fetchval(INVITED, digest(secret))
        if found is None:
            return None
        async with self.changing_sights(OF_DELEGATION, found):
            accepted = await self._connection.fetchval(ACCEPT, digest(secret), account_id, now)
        if accepted is None:
            return None
        return _delegation(await self._connection.fetchrow(BY_ID, accepted))

    async def delegations_of(self, account_id: UUID) -> list[Delegation]:
        """Return what an account gave to others and what others gave to it, the latest first."""
        rows = await self._connection.fetch(DELEGATIONS_OF, account_id, DELEGATIONS_SHOWN)
        return [_delegation(row) for row in rows]

    async def end_delegation(self, account_id: UUID, delegation_id: UUID, now: datetime) -> bool:
        """End a delegation that an account gave or has; False when it is none of these."""
        if not await self._connection.fetchval(IS_PARTY, account_id, delegation_id):
            return False
        async with self.changing_sights(OF_DELEGATION, delegation_id):
            result = await self._connection.execute(END, account_id, delegation_id, now)
        return not result.endswith(" 0")


def _delegation(row: Any) -> Delegation:  # noqa: ANN401
    return Delegation(
        **{**dict(row), "payer_ids": tuple(row["payer_ids"]), "payers": tuple(row["payers"])}
    )
