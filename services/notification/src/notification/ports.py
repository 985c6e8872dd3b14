"""What the handlers and the worker need from the outside."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec

from notification.domain import Circumstances, Fact, Invoice, Letter, Movement, State
from shared.errors import PermanentError, TransientError
from shared.events import ContactUpdated


class Office(Protocol):
    """What is known and what is to be told, within one transaction."""

    async def lock_invoices(self, invoice_ids: Collection[UUID]) -> dict[UUID, Invoice]:
        """Return the invoices known, holding a lock on each of these ids, known or not.

        The lock makes facts about one invoice wait for each other, so that of a fact and its
        invoice whoever commits second sees the first.
        """
        ...

    async def invoices(self, invoice_ids: Collection[UUID]) -> dict[UUID, Invoice]:
        """Return the invoices known, without a lock."""
        ...

    async def keep_invoices(self, invoices: Sequence[Invoice]) -> None:
        """Remember these versions in place of lower ones."""
        ...

    async def keep_movements(self, movements: Sequence[Movement]) -> None:
        """Remember money that came or went; one already known changes nothing."""
        ...

    async def payments(self, payment_ids: Collection[UUID]) -> dict[UUID, str | None]:
        """Return the captured payments known, each with the address its receipt was asked at."""
        ...

    async def park(self, facts: Sequence[Fact]) -> None:
        """Put facts aside until what they await has arrived; one already there stays."""
        ...

    async def parked(self, arrived: Collection[UUID]) -> list[Fact]:
        """Return, locked, the facts put aside that await one of these ids."""
        ...

    async def unpark(self, facts: Sequence[Fact]) -> None:
        """Forget that these facts were put aside."""
        ...

    async def add_letters(self, letters: Sequence[Letter]) -> None:
        """Add letters to send; one about the same fact to the same address is left as it is."""
        ...

    async def keep_wish(self, contact: ContactUpdated) -> None:
        """Remember whether the account wants e-mail, at each address it ever proved."""
        ...


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """A letter claimed by this replica; `attempts` were made before."""

    letter: Letter
    attempts: int
    written_at: datetime


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a letter: `code` and `answer` are the mail server's, when it was asked."""

    message_id: UUID
    state: State
    at: datetime
    reason: str | None = None
    code: int | None = None
    answer: str | None = None
    next_at: datetime | None = None
    was_tried: bool = True


class Deliveries(Protocol):
    """The letters to send, each call in a transaction of its own."""

    async def claim(self, limit: int) -> list[Due]:
        """Hold at most `limit` letters that are due, under a lease."""
        ...

    async def circumstances(self, letters: Sequence[Letter]) -> Circumstances:
        """Return what is known now of all that these letters are about."""
        ...

    async def keep(self, attempts: Sequence[Attempt]) -> None:
        """Record what became of letters and let go of them."""
        ...


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """A finished message, as the SMTP dialogue needs it."""

    sender: str
    recipient: str
    content: bytes


class UnwritableError(PermanentError):
    """The letter cannot be turned into a mail."""

    slug = "unwritable"


class RefusedError(PermanentError):
    """The mail server will never take this mail (SMTP 5yz for the recipient or the content)."""

    slug = "refused-by-server"

    def __init__(self, code: int, answer: str) -> None:
        """Keep the server's own words."""
        super().__init__(f"{code} {answer}")
        self.code = code
        self.answer = answer


class PutOffError(TransientError):
    """The mail server does not take this mail now (SMTP 4yz, or our sender is not accepted)."""

    slug = "put-off-by-server"

    def __init__(self, code: int, answer: str) -> None:
        """Keep the server's own words."""
        super().__init__(f"{code} {answer}")
        self.code = code
        self.answer = answer


class UnreachableError(TransientError):
    """No answer from the mail server: whether it took the mail is not known."""

    slug = "mail-server-unreachable"


class Writer(Protocol):
    """Turns letters into mails."""

    def write(self, due: Due, circumstances: Circumstances) -> Mail:
        """Return the mail of a letter, the same bytes for the same circumstances.

        Raises:
            UnwritableError: no valid mail can be made of it.
        """
        ...


class Postbox(Protocol):
    """Takes mails to the mail server."""

    async def send(self, mail: Mail) -> str:
        """Return the server's answer once it has taken charge of the mail.

        Raises:
            RefusedError: it never will.
            PutOffError: it does not now.
            UnreachableError: it did not answer, so it may or may not have the mail.
        """
        ...
