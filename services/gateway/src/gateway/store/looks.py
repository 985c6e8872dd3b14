"""The SQL of what authorities look like; the loader writes it."""

import msgspec

from gateway.ports import Appearance, AuthorityLook, RegieLook
from gateway.store.rows import Rows

REVISIONS = "SELECT authority, revision FROM authority"
LOOKS = """
SELECT authority, name, revision, content FROM authority WHERE authority = ANY($1) ORDER BY name
"""


class _Content(msgspec.Struct, frozen=True, kw_only=True):
    """The part of an authority's content that pages show."""

    appearance: Appearance | None = None
    regies: tuple[RegieLook, ...] = ()


class PostgresLooks(Rows):
    """Appearances within one transaction; see `ports.Looks`."""

    async def look_revisions(self) -> dict[str, int]:
        """Return the revision at which each authority stands, by its name in addresses."""
        rows = await self._connection.fetch(REVISIONS)
        return {row["authority"]: row["revision"] for row in rows}

    async def looks(self, authorities: list[str]) -> list[AuthorityLook]:
        """Return what these authorities look like."""
        rows = await self._connection.fetch(LOOKS, authorities)
        return [
            _look(row["authority"], row["name"], row["revision"], row["content"]) for row in rows
        ]


def _look(authority: str, name: str, revision: int, content: bytes) -> AuthorityLook:
    found = msgspec.json.decode(content, type=_Content)
    return AuthorityLook(
        authority=authority,
        name=name,
        revision=revision,
        appearance=found.appearance,
        regies=found.regies,
    )
