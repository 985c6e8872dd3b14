"""The SQL of payers whom billers describe, and the accounts of the people whom they may be."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid4

import asyncpg
import msgspec

from gateway.ports import Facts
from gateway.ports.identity import Pivot
from gateway.ports.links import MatchedAccount, NewLink, Proposal, payer_id_of
from gateway.ports.matching import AUTOMATIC, PROPOSED, Described, score
from gateway.store.accounts import PostgresAccounts
from gateway.store.identities import PostgresIdentities
from gateway.store.links import REFUSE, PostgresLinks
from gateway.store.sights import OF_PAYER
from shared.events import InvoicePublished, LetterDue
from shared.events.invoice_generated import PayerIdentity

# What a biller says last counts; the same again is not written, so that nobody is matched for it.
KEEP_IDENTITIES = """
INSERT INTO payer_identity (payer_id, authority, family_name, given_names, birthdate, gender,
    birthplace, birthcountry, told_at)
SELECT t.payer_id, t.authority, t.family_name, string_to_array(t.given_names, E'\\x1f'),
    t.birthdate, t.gender, t.birthplace, t.birthcountry, t.told_at
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
    $8::text[], $9::timestamptz[])
AS t (payer_id, authority, family_name, given_names, birthdate, gender, birthplace, birthcountry,
    told_at)
ON CONFLICT (payer_id) DO UPDATE SET family_name = EXCLUDED.family_name,
    given_names = EXCLUDED.given_names, birthdate = EXCLUDED.birthdate, gender = EXCLUDED.gender,
    birthplace = EXCLUDED.birthplace, birthcountry = EXCLUDED.birthcountry,
    told_at = EXCLUDED.told_at
WHERE payer_identity.told_at < EXCLUDED.told_at
"""
# A whole birthdate that is equal is part of any match that links by itself.
ACCOUNTS_BORN = """
SELECT account_id, family_name, given_names, birthdate, gender, birthplace, birthcountry
FROM identity WHERE birthdate = ANY($1) ORDER BY account_id
"""
# Who is linked already, or does not want to be, need not be looked at again with each invoice.
SETTLED = """
SELECT pair.account_id, pair.payer_id
FROM unnest($1::uuid[], $2::uuid[]) AS pair (account_id, payer_id)
WHERE EXISTS (
        SELECT FROM link WHERE link.account_id = pair.account_id
            AND link.payer_id = pair.payer_id AND link.revoked_at IS NULL)
    OR EXISTS (
        SELECT FROM refusal WHERE refusal.account_id = pair.account_id
            AND refusal.payer_id = pair.payer_id)
"""
# Who was born on that day, in that month or year where the rest is unknown to either side.
CANDIDATES = """
SELECT payer_id, authority, family_name, given_names, birthdate, gender, birthplace, birthcountry
FROM payer_identity WHERE birthdate LIKE $1 OR birthdate = ANY($2)
ORDER BY payer_id
"""
# The newest invoice of a payer stands for them; one whose name is another's has no part in it.
SHOWN_PAYERS = """
SELECT payer_id, max(authority) AS authority, max(authority_name) AS authority_name,
    array_agg(DISTINCT regie_label ORDER BY regie_label) AS regie_labels, count(*) AS count,
    (array_agg(invoice_id ORDER BY issued_on DESC, number DESC))[1] AS invoice_id,
    (array_agg(number ORDER BY issued_on DESC, number DESC))[1] AS number
FROM invoice WHERE payer_id = ANY($1) AND version > 0 AND withdrawn_version < version
GROUP BY payer_id
"""
KNOWN_TO = """
SELECT payer_id FROM link WHERE account_id = $1 AND payer_id = ANY($2) AND revoked_at IS NULL
UNION
SELECT payer_id FROM refusal WHERE account_id = $1 AND payer_id = ANY($2)
"""
OF_SUM = """
SELECT invoice_id FROM invoice
WHERE payer_id = $1 AND amount_cents = $2 AND version > 0 AND withdrawn_version < version
ORDER BY issued_on DESC, number DESC LIMIT 1
"""


class _Scored(msgspec.Struct, frozen=True):
    payer_id: UUID
    authority: str
    score: int


class PostgresMatches(PostgresLinks):
    """Matches within one transaction; see `ports.Links`."""

    async def keep_payer_identities(
        self, published: Sequence[InvoicePublished], now: datetime
    ) -> None:
        """Keep who payers are for the State, and link the accounts of exactly those people."""
        told: dict[UUID, tuple[InvoicePublished, PayerIdentity]] = {}
        for invoice in sorted(published, key=lambda one: one.published_at):
            if invoice.payer_identity is not None:
                told[payer_id_of(invoice)] = (invoice, invoice.payer_identity)
        if not told:
            return
        rows = sorted(told.items())
        await self._connection.execute(
            KEEP_IDENTITIES,
            [payer_id for payer_id, _ in rows],
            [invoice.authority for _, (invoice, _) in rows],
            [identity.family_name for _, (_, identity) in rows],
            ["\x1f".join(identity.given_names) for _, (_, identity) in rows],
            [identity.birthdate for _, (_, identity) in rows],
            [identity.gender or "" for _, (_, identity) in rows],
            [identity.birthplace or "" for _, (_, identity) in rows],
            [identity.birthcountry or "" for _, (_, identity) in rows],
            [invoice.published_at for _, (invoice, _) in rows],
        )
        people = [(payer_id, identity) for payer_id, (_, identity) in rows]
        for account_id in await self._certain(people):
            await self.match_identity(account_id, now)

    async def _certain(self, people: Sequence[tuple[UUID, PayerIdentity]]) -> list[UUID]:
        """Return the accounts that one of these payers is new to, and matches in all six fields."""
        born: dict[str, list[tuple[UUID, Described]]] = {}
        for payer_id, identity in people:
            born.setdefault(identity.birthdate, []).append((payer_id, _as_told(identity)))
        pairs = [
            (row["account_id"], payer_id)
            for row in await self._connection.fetch(ACCOUNTS_BORN, sorted(born))
            for payer_id, described in born[row["birthdate"]]
            if score(_pivot(row), described) == AUTOMATIC
        ]
        if not pairs:
            return []
        settled = await self._connection.fetch(
            SETTLED, [account_id for account_id, _ in pairs], [payer_id for _, payer_id in pairs]
        )
        known = {(row["account_id"], row["payer_id"]) for row in settled}
        return sorted({pair[0] for pair in pairs if pair not in known})

    async def match_identity(self, account_id: UUID, now: datetime) -> list[MatchedAccount]:
        """Link an account to the payers who are, beyond doubt, who FranceConnect says it is."""
        found = await self._scored(account_id)
        certain = [one for one in found if one.score == AUTOMATIC]
        alike = [one.authority for one in certain]
        chosen = [one.payer_id for one in certain if alike.count(one.authority) == 1]
        known = await self._known(account_id, chosen)
        linked = []
        for row in await self._connection.fetch(SHOWN_PAYERS, chosen):
            new = NewLink(account_id=account_id, evidence="franceconnect", score=AUTOMATIC)
            if row["payer_id"] in known or not await self.link(row["invoice_id"], new, now):
                continue
            linked.append(
                MatchedAccount(
                    account_id=account_id,
                    payer_id=row["payer_id"],
                    authority=row["authority"],
                    authority_name=row["authority_name"],
                    number=row["number"],
                )
            )
        for link in linked:
            await self._tell(link, now)
        return linked

    async def proposals(self, account_id: UUID) -> list[Proposal]:
        """Return the payers who may be the owner of an account, the likeliest first."""
        found = {one.payer_id: one for one in await self._scored(account_id)}
        known = await self._known(account_id, list(found))
        wanted = [payer_id for payer_id in found if payer_id not in known]
        proposals = [
            Proposal(
                payer_id=row["payer_id"],
                authority=row["authority"],
                authority_name=row["authority_name"],
                regie_labels=tuple(row["regie_labels"]),
                count=row["count"],
                score=found[row["payer_id"]].score,
            )
            for row in await self._connection.fetch(SHOWN_PAYERS, wanted)
        ]
        return sorted(proposals, key=lambda one: (-one.score, one.authority_name, one.payer_id))

    async def confirm(
        self, account_id: UUID, payer_id: UUID, amount_cents: int, now: datetime
    ) -> bool:
        """Link an account to a payer proposed to it; False when no invoice of theirs has that sum.

        The same questions are asked whether the payer is proposed or not.
        """
        proposed = {one.payer_id: one for one in await self.proposals(account_id)}
        invoice_id: UUID | None = await self._connection.fetchval(OF_SUM, payer_id, amount_cents)
        proposal = proposed.get(payer_id)
        if proposal is None or invoice_id is None:
            return False
        new = NewLink(account_id=account_id, evidence="franceconnect", score=proposal.score)
        return await self.link(invoice_id, new, now)

    async def refuse(self, account_id: UUID, payer_id: UUID, now: datetime) -> bool:
        """Propose a payer no more; False for one who is not proposed to this account."""
        if payer_id not in {one.payer_id for one in await self.proposals(account_id)}:
            return False
        # A proved address may have shown some of their invoices.
        async with self.changing_sights(OF_PAYER, payer_id):
            await self._connection.execute(REFUSE, account_id, payer_id, now)
        return True

    async def _tell(self, link: MatchedAccount, now: datetime) -> None:
        """Write down a link that nobody asked for, and send the account's owner a letter."""
        accounts = PostgresAccounts(self._transaction)
        # Nobody's browser did it.
        await accounts.note(link.account_id, "link-added", Facts(subscriber="", browser=""), now)
        account = await accounts.account(link.account_id)
        if account is None or account.email is None or account.verified_at is None:
            return
        await self.publish(
            LetterDue(
                letter_id=uuid4(),
                kind="link-added",
                email=account.email,
                language=account.language,
                details={"authority": link.authority_name, "number": link.number},
                due_at=now,
            )
        )

    async def _scored(self, account_id: UUID) -> list[_Scored]:
        """Return the payers who match the identity of an account well enough to be told."""
        identity = await PostgresIdentities(self._transaction).identity_of(account_id)
        if identity is None:
            return []
        pattern, coarser = _births(identity.pivot)
        rows = await self._connection.fetch(CANDIDATES, pattern, coarser)
        found = [
            _Scored(row["payer_id"], row["authority"], score(identity.pivot, _described(row)))
            for row in rows
        ]
        return [one for one in found if one.score >= PROPOSED]

    async def _known(self, account_id: UUID, payer_ids: Sequence[UUID]) -> set[UUID]:
        rows = await self._connection.fetch(KNOWN_TO, account_id, list(payer_ids))
        return {row["payer_id"] for row in rows}


def _births(pivot: Pivot) -> tuple[str, list[str]]:
    """Return which birthdates may be the same: a pattern, and those that say less."""
    year, _, rest = pivot.birthdate.partition("-")
    month, _, day = rest.partition("-")
    known = f"{year}-" if month == "00" else f"{year}-{month}-" if day == "00" else pivot.birthdate
    pattern = known if known == pivot.birthdate else f"{known}%"
    return pattern, [f"{year}-{month}-00", f"{year}-00-00"]


def _pivot(row: asyncpg.Record) -> Pivot:
    return Pivot(
        family_name=row["family_name"],
        given_names=tuple(row["given_names"]),
        birthdate=row["birthdate"],
        gender=row["gender"],
        birthplace=row["birthplace"],
        birthcountry=row["birthcountry"],
    )


def _as_told(identity: PayerIdentity) -> Described:
    return Described(
        family_name=identity.family_name,
        given_names=identity.given_names,
        birthdate=identity.birthdate,
        gender=identity.gender or "",
        birthplace=identity.birthplace or "",
        birthcountry=identity.birthcountry or "",
    )


def _described(row: asyncpg.Record) -> Described:
    return Described(
        family_name=row["family_name"],
        given_names=tuple(row["given_names"]),
        birthdate=row["birthdate"],
        gender=row["gender"],
        birthplace=row["birthplace"],
        birthcountry=row["birthcountry"],
    )
