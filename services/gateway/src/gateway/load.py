"""`python -m gateway.load FILE.json` sets authorities, billers, agents and citizens."""

import argparse
import asyncio
import os
import sys
from pathlib import Path
from uuid import uuid4

import msgspec

from gateway.adapters.passwords import Passwords
from gateway.adapters.vault import Vault, sealing_keys
from gateway.settings import Settings
from gateway.store import Person, PostgresPeople, PostgresPortal, digest
from gateway.store.sights import OF_ADDRESSES
from gateway.town_file import AgentEntry, AuthorityEntry, CitizenEntry, TownFile, read
from shared import environment, logs
from shared.errors import QuittanceError
from shared.events import AuthorityConfigured
from shared.events.authority_configured import KafkaBiller, Regie
from shared.postgres import Database, Transaction

TOTP_LABEL = "Application de codes"
"""What an agent reads in their list of second factors, as if they had named it nothing."""


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """What a load changed, by name."""

    authorities: tuple[str, ...] = ()
    billers: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    citizens: int = 0


async def load(town: TownFile, database: Database, passwords: Passwords, vault: Vault) -> Loaded:
    """Set everything in one transaction; the same file again changes and says nothing.

    Who gets another password, or another secret of an application, is logged out everywhere.
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
            if await _keep_agent(agent, hashes[agent.login.lower()], people, vault, transaction)
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
    kept = known.password_hash if known else None
    if kept is not None and await passwords.matches(kept, password):
        return kept
    return await passwords.hash(password)


def _kafka_billers(town: TownFile, entry: AuthorityEntry) -> tuple[KafkaBiller, ...]:
    return tuple(
        KafkaBiller(client_id=biller.client_id, regies=biller.regies)
        for biller in town.billers
        if biller.kafka and biller.authority == entry.authority
    )


def _content(entry: AuthorityEntry, billers: tuple[KafkaBiller, ...]) -> dict[str, object]:
    """Return what is kept of an authority: all that the event says, and what pages show."""
    kept: dict[str, object] = {"regies": entry.regies, "billers": billers, "name": entry.name}
    kept |= {"second_proof": True} if entry.second_proof else {}
    return kept | ({"appearance": entry.appearance} if entry.appearance else {})


async def _keep_authority(
    entry: AuthorityEntry,
    billers: tuple[KafkaBiller, ...],
    people: PostgresPeople,
    transaction: Transaction,
) -> bool:
    content = msgspec.json.encode(_content(entry, billers), order="sorted")
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
                regies=tuple(
                    msgspec.convert(regie, Regie, from_attributes=True) for regie in entry.regies
                ),
                billers=billers,
                revision=revision,
                configured_at=transaction.clock.now(),
            )
        ]
    )
    return True


async def _keep_agent(
    entry: AgentEntry,
    password_hash: str,
    people: PostgresPeople,
    vault: Vault,
    transaction: Transaction,
) -> bool:
    login = entry.login.lower()
    has_changed = await people.keep_agent(login, password_hash, entry.authority)
    if entry.totp_secret is None:
        return has_changed
    secret = entry.totp_secret.encode()
    if secret in [vault.open(sealed) for sealed in await people.totp_secrets(login)]:
        return has_changed
    await people.set_totp(login, TOTP_LABEL, vault.seal(secret), transaction.clock.now())
    return True


async def _keep_citizen(
    entry: CitizenEntry, password_hash: str, people: PostgresPeople, transaction: Transaction
) -> bool:
    now = transaction.clock.now()
    email = entry.email.lower()
    verified_at = now if entry.verified else None
    # Invoices that came before the address was known to be theirs are told of as well.
    async with PostgresPortal(transaction).changing_sights(OF_ADDRESSES, [email]):
        kept = await people.keep_account(uuid4(), email, password_hash, verified_at, now)
    if kept is None:
        return False
    if kept.is_newly_verified:
        # With what its owner may have chosen before: the event replaces what was told.
        contact = await PostgresPortal(transaction).contact(kept.account_id, now)
        await transaction.publish([contact] if contact else [])
    return True


async def _run(town: TownFile, settings: Settings) -> Loaded:
    database = await Database.connect(settings.database_url, size=1, service="gateway")
    passwords = Passwords()
    try:
        vault = Vault(sealing_keys(settings.token_signing_key, settings.token_previous_key))
        return await load(town, database, passwords, vault)
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
