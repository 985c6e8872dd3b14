"""Builders of payers: invoices of several towns and people, and who they are for the State."""

from datetime import date
from uuid import UUID

import msgspec

from gateway.ports.identity import Pivot, Told
from gateway.store import PostgresPortal
from shared.events import InvoicePublished
from shared.events.invoice_generated import Payer, PayerIdentity
from tests.unit.gateway.door import NOW, Door, an_invoice

ISSUER_OF_IDENTITIES = "https://fc.exemple.test/api/v2"
IDENTITY = PayerIdentity(
    family_name="MARTIN",
    given_names=("Camille", "Dominique"),
    birthdate="1984-05-12",
    gender="female",
    birthplace="75056",
    birthcountry="99100",
)
PIVOT = Pivot(
    family_name="MARTIN",
    given_names=("Camille", "Dominique"),
    birthdate="1984-05-12",
    gender="female",
    birthplace="75056",
    birthcountry="99100",
)


def an_invoice_of(
    position: int,
    *,
    reference: str = "FAM-0042",
    name: str = "Camille Martin",
    authority: str = "saint-aubin",
    email: str | None = None,
    identity: PayerIdentity | None = None,
    amount_cents: int = 4150,
    version: int = 1,
) -> InvoicePublished:
    """Return the invoice of that position: its id, number and token are made from it."""
    return msgspec.structs.replace(
        an_invoice(
            invoice_id=id_of(position),
            token=token_of(position),
            number=f"2026-{position:04d}",
            amount_cents=amount_cents,
            version=version,
        ),
        authority=authority,
        authority_name=f"Ville de {authority.title()}",
        issued_on=date(2026, 11, 1),
        payer=Payer(reference=reference, name=name, email=email),
        payer_identity=identity,
    )


def id_of(position: int) -> UUID:
    return UUID(f"00000000-0000-5000-8000-{position:012d}")


def token_of(position: int) -> str:
    return f"{position:022d}"


async def seen_by(door: Door, account_id: UUID) -> list[str]:
    """Return the numbers of the invoices that an account shows."""
    async with door.portal() as portal:
        return sorted(one.number for one in await portal.own_invoices(account_id))


async def identify(door: Door, account_id: UUID, pivot: Pivot = PIVOT) -> None:
    """Let FranceConnect tell who the owner of an account is."""
    told = Told(subject=str(account_id), pivot=pivot, email="", sealed_token=b"")
    async with door.portal() as portal:
        assert await portal.keep_identity(ISSUER_OF_IDENTITIES, told, account_id, NOW)


async def match(portal: PostgresPortal, account_id: UUID) -> list[str]:
    """Return the numbers that stand for the payers an account was linked to by itself."""
    return [one.number for one in await portal.match_identity(account_id, NOW)]
