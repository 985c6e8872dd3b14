"""Reading the letters and contacts that the portal told, as notification would."""

import msgspec

from shared.events import ContactUpdated, LetterDue
from tests.unit.gateway.door import ISSUER, Door

TOLD = "SELECT value FROM outbox WHERE topic = $1 ORDER BY id"


async def letters(door: Door) -> list[LetterDue]:
    """Return every letter that is due, oldest first."""
    async with door.database.reading() as connection:
        rows = await connection.fetch(TOLD, LetterDue.TOPIC)
    return [msgspec.json.decode(row["value"], type=LetterDue) for row in rows]


async def kinds(door: Door) -> list[str]:
    """Return what the letters are about, oldest first."""
    return [letter.kind for letter in await letters(door)]


async def last_path(door: Door, kind: str) -> str:
    """Return the page of ours that the last letter of a kind leads to."""
    link = [letter.link for letter in await letters(door) if letter.kind == kind][-1]
    assert link is not None
    assert link.startswith(ISSUER + "/")
    return link.removeprefix(ISSUER)


async def contacts(door: Door) -> list[tuple[str | None, str]]:
    """Return the address and the language of each contact that was told, oldest first."""
    async with door.database.reading() as connection:
        rows = await connection.fetch(TOLD, ContactUpdated.TOPIC)
    told = [msgspec.json.decode(row["value"], type=ContactUpdated) for row in rows]
    return [(contact.email, contact.language) for contact in told]


async def events(door: Door) -> list[str]:
    """Return what was noted of all accounts, oldest first."""
    async with door.database.reading() as connection:
        rows = await connection.fetch("SELECT kind FROM account_event ORDER BY event_id")
    return [row["kind"] for row in rows]
