"""`python -m gateway.load FILE.json` sets authorities, billers, agents and citizens."""

import argparse
import asyncio
import os
import sys
from pathlib import Path
from uuid import uuid4

import msgspec

from gateway.adapters.passwords import Passwords
from gateway.settings import Settings
from gateway.store import Person, PostgresPeople, digest
from gateway.town_file import AuthorityEntry, CitizenEntry, TownFile, read
from shared import environment, logs
from shared.errors import QuittanceError
from shared.events import AuthorityConfigured, ContactUpdated
from shared.events.authority_configured import KafkaBiller
from shared.postgres import Database, Transaction


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """What a load changed, by name."""

    authorities: tuple[str, ...] = ()
    billers: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    citizens: int = 0


async def load(town: TownFile, database: Database, passwords: Passwords) -> Loaded:
    """Set everything in one transaction; the same file again changes and says nothing.

    Who gets another password is logged out everywhere.
    """
    async with database.reading() as connection:
        people = PostgresPeople(connection)
        agents = await people.agents([agent.login.lower() for agent in town.agents])
        citizens = await people.accounts([citizen.email.lower() for citizen in town.citizens])
    hashes = {
        agent.login.lower(): await _hash(passwords, agents.get(agent.login.lower()), agent.password)
        for agent in town.agents
    }
    secrets = {
        citizen.email.lower(): await _hash(
            passwords, citizens.get(citizen.email.lower()), citizen.password
        )
        for citizen in town.citizens
    }
    async with database.transaction() as transaction:
        people = PostgresPeople(transaction.connection)
        authorities = [
            entry.authority
            for entry in town.authorities
            if await _keep_authority(entry, _kafka_billers(town, entry), people, transaction)
        ]
        billers = [
            biller.client_id
            for biller in town.billers
            if await people.keep_biller(
                biller.client_id,
                digest(biller.client_secret),
                biller.authority,
                biller.regies,
                biller.scopes,
            )
        ]
        changed_agents = [
            agent.login
            for agent in town.agents
            if await people.keep_agent(
                agent.login.lower(), hashes[agent.login.lower()], agent.authority
            )
        ]
        changed_citizens = [
            citizen.email
            for citizen in town.citizens
            if await _keep_citizen(citizen, secrets[citizen.email.lower()], people, transaction)
        ]
    return Loaded(
        authorities=tuple(authorities),
        billers=tuple(billers),
        agents=tuple(changed_agents),
        citizens=len(changed_citizens),
    )


async def _hash(passwords: Passwords, known: Person | None, password: str) -> str:
    """Return the hash that is kept already, when it is of this password; else a new one."""
    if known is not None and await passwords.matches(known.password_hash, password):
        return known.password_hash
    return await passwords.hash(password)


def _kafka_billers(town: TownFile, entry: AuthorityEntry) -> tuple[KafkaBiller, ...]:
    return tuple(
        KafkaBiller(client_id=biller.client_id, regies=biller.regies)
        for biller in town.billers
        if biller.kafka and biller.authority == entry.authority
    )


async def _keep_authority(
    entry: AuthorityEntry,
    billers: tuple[KafkaBiller, ...],
    people: PostgresPeople,
    transaction: Transaction,
) -> bool:
    content = msgspec.json.encode((entry, billers) if billers else entry, order="sorted")
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
                billers=billers,
                revision=revision,
                configured_at=transaction.clock.now(),
            )
        ]
    )
    return True


async def _keep_citizen(
    entry: CitizenEntry, password_hash: str, people: PostgresPeople, transaction: Transaction
) -> bool:
    now = transaction.clock.now()
    email = entry.email.lower()
    kept = await people.keep_account(
        uuid4(), email, password_hash, now if entry.verified else None, now
    )
    if kept is None:
        return False
    if kept.is_newly_verified:
        await transaction.publish(
            [ContactUpdated(account_id=kept.account_id, email=email, updated_at=now)]
        )
    return True


async def _run(town: TownFile, settings: Settings) -> Loaded:
    database = await Database.connect(settings.database_url, size=1, service="gateway")
    passwords = Passwords()
    try:
        return await load(town, database, passwords)
    finally:
        passwords.close()
        await database.close()


def main() -> None:
    """Run the command line; exits 1 with one line when the file or the settings are not right."""
    parser = argparse.ArgumentParser(prog="gateway.load")
    parser.add_argument("file", type=Path)
    path: Path = parser.parse_args().file
    try:
        settings = environment.read(Settings, os.environ)
        logs.configure("gateway", level=settings.log_level, form=settings.log_format)
        loaded = asyncio.run(_run(read(path.read_bytes()), settings))
    except (QuittanceError, OSError) as error:
        sys.exit(f"gateway.load: {error}")
    logs.get_logger(__name__).info("loaded", **msgspec.to_builtins(loaded))


if __name__ == "__main__":
    main()
