"""What the handlers and the worker need from the outside."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import msgspec

from notification.domain import (
    Circumstances,
    Contact,
    Device,
    DeviceName,
    Invoice,
    Letter,
    Movement,
    Parked,
    Push,
    PushCircumstances,
    State,
    View,
)
from shared.errors import DomainError, PermanentError, TransientError
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

    async def park(self, facts: Sequence[Parked]) -> None:
        """Put facts aside until what they await has arrived; one already there stays."""
        ...

    async def parked(self, arrived: Collection[UUID]) -> list[Parked]:
        """Return, locked, the facts put aside that await one of these ids."""
        ...

    async def unpark(self, facts: Sequence[Parked]) -> None:
        """Forget that these facts were put aside."""
        ...

    async def add_letters(self, letters: Sequence[Letter]) -> None:
        """Add letters to send; one about the same fact to the same address is left as it is."""
        ...

    async def keep_wish(self, contact: ContactUpdated) -> None:
        """Remember whether the account wants e-mail, at each address it ever proved."""
        ...

    async def lock_accounts(self, account_ids: Collection[UUID]) -> dict[UUID, Contact]:
        """Return the accounts known, holding a lock on each of these ids, known or not.

        The lock makes facts about one account wait for each other, as it does for invoices.
        """
        ...

    async def contacts(self, account_ids: Collection[UUID]) -> dict[UUID, Contact]:
        """Return the accounts known, closed ones too, without a lock."""
        ...

    async def keep_contact(self, contact: ContactUpdated) -> None:
        """Remember an account's address and wishes in place of earlier ones.

        Of a closed account (no address) nothing stays but that it is closed: its devices, what it
        sees and its pushes are removed.
        """
        ...

    async def keep_views(self, views: Sequence[View]) -> None:
        """Remember who sees what and who does no more, but for accounts that are closed.

        Of what is told of one invoice and account the later moment counts, in any order.
        """
        ...

    async def viewers(self, invoice_ids: Collection[UUID]) -> dict[UUID, list[UUID]]:
        """Return which accounts see each invoice now."""
        ...

    async def devices(self, account_ids: Collection[UUID]) -> list[Device]:
        """Return the devices of these accounts."""
        ...

    async def add_pushes(self, pushes: Sequence[Push]) -> None:
        """Add pushes to send; one about the same fact to the same device is left as it is."""
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


class DuePush(msgspec.Struct, frozen=True, kw_only=True):
    """A push claimed by this replica; `attempts` were made before."""

    push: Push
    attempts: int
    written_at: datetime


class PushAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a push; `gone_endpoint` is one that the push service knows no more."""

    push_id: UUID
    state: State
    at: datetime
    reason: str | None = None
    code: int | None = None
    answer: str | None = None
    next_at: datetime | None = None
    was_tried: bool = True
    gone_endpoint: str | None = None


class Pushes(Protocol):
    """The pushes to send, each call in a transaction of its own."""

    async def claim(self, limit: int, *, busy: Collection[str]) -> list[DuePush]:
        """Hold at most `limit` pushes that are due, all of one push service, under a lease.

        Push services that are `busy` here, or that asked to be left alone, are stepped over.
        """
        ...

    async def circumstances(self, pushes: Sequence[Push]) -> PushCircumstances:
        """Return what is known now of all that these pushes are about."""
        ...

    async def keep(self, attempts: Sequence[PushAttempt]) -> None:
        """Record what became of pushes, let go of them, and remove devices that are gone."""
        ...

    async def pause(self, host: str, until: datetime) -> None:
        """Leave a push service alone until then, on every replica."""
        ...


class PushAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a push service said."""

    status: int
    words: str
    retry_after: timedelta | None = None


class SilentError(TransientError):
    """No answer from a push service: whether it took the push is not known."""

    slug = "push-service-silent"


class PushService(Protocol):
    """Takes pushes to the push services."""

    async def send(self, push: Push, device: Device) -> PushAnswer:
        """Return the answer, whatever it is, within seconds.

        Raises:
            SilentError: there was none, so the push may or may not have been taken.
            UnwritableError: the device's keys or endpoint cannot be used.
        """
        ...


class TooManyDevicesError(DomainError):
    """The account has as many devices as it may have."""

    slug = "too-many-devices"


class AccountClosedError(DomainError):
    """The account is closed: it has no devices."""

    slug = "account-closed"


class Devices(Protocol):
    """The devices of accounts, each call in a transaction of its own."""

    async def register(self, device: Device, *, at_most: int) -> None:
        """Keep a device in place of an earlier one of its name.

        An endpoint that another account, or the same under another name, had registered is moved:
        a telephone that people share speaks to whom it belongs now.

        Raises:
            TooManyDevicesError: it would be one more than `at_most`.
            AccountClosedError: the account is closed.
        """
        ...

    async def of_account(self, account_id: UUID) -> list[Device]:
        """Return the devices of an account, the oldest first."""
        ...

    async def remove(self, name: DeviceName) -> bool:
        """Forget a device; return whether there was one."""
        ...

    async def try_out(self, name: DeviceName) -> bool:
        """Have a push sent to a device for trial; return whether there is one."""
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
