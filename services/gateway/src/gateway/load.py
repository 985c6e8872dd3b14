"""`python -m gateway.load FILE.json` sets authorities, billers, agents and citizens."""

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID, uuid4

import msgspec

from gateway.adapters.passwords import Passwords
from gateway.people_store import PostgresPeople
from gateway.settings import Settings
from gateway.store import digest
from shared import environment, logs
from shared.clock import SystemClock
from shared.errors import QuittanceError, SettingsError
from shared.events import AuthorityConfigured, ContactUpdated
from shared.events.authority_configured import Regie
from shared.postgres import Database, Transaction

Scope = Literal["deposits:write", "deposits:read", "collections:read"]
Password = Annotated[str, msgspec.Meta(min_length=12, max_length=200)]


class AuthorityEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An authority and its régies."""

    authority: Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9-]{1,62}$")]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    regies: tuple[Regie, ...]


class BillerEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A billing application; its secret is 32 characters of chance or more."""

    client_id: Annotated[str, msgspec.Meta(min_length=3, max_length=100)]
    client_secret: Annotated[str, msgspec.Meta(min_length=32, max_length=200)]
    authority: str
    regies: tuple[str, ...]
    scopes: tuple[Scope, ...]


class AgentEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An agent of an authority."""

    login: Annotated[str, msgspec.Meta(min_length=3, max_length=254)]
    password: Password
    authority: str


class CitizenEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A citizen's account; `verified` says that the address was proved elsewhere."""

    email: Annotated[str, msgspec.Meta(min_length=6, max_length=254)]
    password: Password
    verified: bool = False


class TownFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that a file sets."""

    authorities: tuple[AuthorityEntry, ...]
    billers: tuple[BillerEntry, ...] = ()
    agents: tuple[AgentEntry, ...] = ()
    citizens: tuple[CitizenEntry, ...] = ()


def read(content: bytes) -> TownFile:
    """Return what a file sets.

    Raises:
        SettingsError: it is not of the form above, or names something it does not define.
    """
    try:
        town = msgspec.json.decode(content, type=TownFile)
    except msgspec.DecodeError as error:
        raise SettingsError(str(error)) from error
    regies = {entry.authority: {regie.code for regie in entry.regies} for entry in town.authorities}
    problems = [
        f"{biller.client_id}: unknown authority or régie"
        for biller in town.billers
        if not set(biller.regies) <= regies.get(biller.authority, set())
        or biller.authority not in regies
    ]
    problems += [
        f"{agent.login}: unknown authority"
        for agent in town.agents
        if agent.authority not in regies
    ]
    if problems:
        raise SettingsError("; ".join(problems))
    return town


async def load(town: TownFile, settings: Settings) -> list[str]:
    """Set everything in one transaction; return the authorities that changed.

    Loading the same file again changes nothing but passwords' hashes.
    """
    database = await Database.connect(settings.database_url, size=1, service="gateway")
    passwords = Passwords()
    try:
        agents = {agent.login: await passwords.hash(agent.password) for agent in town.agents}
        citizens = {c.email: await passwords.hash(c.password) for c in town.citizens}
        async with database.transaction() as transaction:
            people = PostgresPeople(transaction.connection)
            changed = [
                entry.authority
                for entry in town.authorities
                if await _keep_authority(entry, people, transaction)
            ]
            for biller in town.billers:
                await people.keep_biller(
                    biller.client_id,
                    digest(biller.client_secret),
                    biller.authority,
                    biller.regies,
                    biller.scopes,
                )
            for agent in town.agents:
                await people.keep_agent(agent.login.lower(), agents[agent.login], agent.authority)
            for citizen in town.citizens:
                await _keep_citizen(citizen, citizens[citizen.email], people, transaction)
    finally:
        await database.close()
    return changed


async def _keep_authority(
    entry: AuthorityEntry, people: PostgresPeople, transaction: Transaction
) -> bool:
    content = msgspec.json.encode(entry, order="sorted")
    known = await people.find_authority(entry.authority)
    if known is not None and known[1] == content:
        return False
    revision = known[0] + 1 if known else 1
    await people.keep_authority(entry.authority, entry.name, revision, content)
    await transaction.publish(
        [
            AuthorityConfigured(
                authority=entry.authority,
                name=entry.name,
                regies=entry.regies,
                revision=revision,
                configured_at=SystemClock().now(),
            )
        ]
    )
    return True


async def _keep_citizen(
    entry: CitizenEntry, password_hash: str, people: PostgresPeople, transaction: Transaction
) -> None:
    now = SystemClock().now()
    account_id: UUID = await people.keep_account(
        uuid4(), entry.email.lower(), password_hash, now if entry.verified else None, now
    )
    if entry.verified:
        await transaction.publish(
            [ContactUpdated(account_id=account_id, email=entry.email.lower(), updated_at=now)]
        )


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="gateway.load")
    parser.add_argument("file", type=Path)
    path: Path = parser.parse_args().file
    try:
        settings = environment.read(Settings, os.environ)
        logs.configure("gateway", level=settings.log_level, form=settings.log_format)
        changed = asyncio.run(load(read(path.read_bytes()), settings))
    except (QuittanceError, OSError) as error:
        sys.exit(f"gateway.load: {error}")
    logs.get_logger(__name__).info("loaded", changed=changed)


if __name__ == "__main__":
    main()
