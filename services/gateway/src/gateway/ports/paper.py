"""Who wants no paper any more: kept for each payer, told to their biller."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec


class PaperChoice(msgspec.Struct, frozen=True, kw_only=True):
    """A payer who may choose, and since when there is no paper: None while there is."""

    payer_id: UUID
    authority: str
    since: datetime | None = None


class PaperlessPayer(msgspec.Struct, frozen=True, kw_only=True):
    """A payer for whom nothing is to be printed, under the reference that the biller gave."""

    reference: str
    since: datetime


class Paper(Protocol):
    """The choice between paper and none; who may make it is part of every question.

    It holds for a payer, whoever of those who see them made it, and only while a letter about a new
    invoice reaches at least one of them by e-mail: else nobody would hear of it.
    """

    async def paper_choices(self, account_id: UUID) -> list[PaperChoice]:
        """Return the payers whom an account sees by itself and whom their biller numbered."""
        ...

    async def stop_paper(self, account_id: UUID, payer_id: UUID, now: datetime) -> None:
        """Keep that a payer wants no paper; nothing for one who is not the account's to choose."""
        ...

    async def resume_paper(self, account_id: UUID, payer_id: UUID) -> bool:
        """Give a payer paper again; False when they had it, or are not the account's to choose."""
        ...

    async def paperless(
        self, authority: str, regies: Sequence[str], after: str, limit: int
    ) -> list[PaperlessPayer]:
        """Return payers of these régies who want no paper, by reference, from `after` on."""
        ...
