"""The providers of online payment, and the accounts at them."""

from datetime import date, datetime
from typing import Protocol

import msgspec

from payment.domain import Notice, Rules, Terms
from shared.errors import PermanentError, TransientError


class MalformedNoticeError(PermanentError):
    """The bytes are no notice of this provider: a field is missing, comes twice or has no sense."""

    slug = "malformed-notice"


class NoticeRefusedError(PermanentError):
    """The notice does not prove that it comes from the provider."""

    slug = "notice-refused"


class ProviderUnavailableError(TransientError):
    """The provider does not answer, or says that it cannot now: nothing is known of the order."""

    slug = "provider-unavailable"


class ProviderRefusedError(PermanentError):
    """The provider does not want this order; `code` is its own, `detail` a French sentence."""

    slug = "provider-refused"

    def __init__(self, code: str, detail: str) -> None:
        """Keep what the provider said."""
        super().__init__(detail)
        self.code = code
        self.detail = detail


class PaymentForm(msgspec.Struct, frozen=True, kw_only=True):
    """Where the payer's browser goes: GET to the address as it is, or POST with the fields."""

    url: str
    method: str
    fields: dict[str, str]


class Handover(msgspec.Struct, frozen=True, kw_only=True):
    """A form, and the number and day under which the provider files it.

    `reference` is the provider's own name of the attempt when it gives one before paying. `raw` is
    what the provider's library wants to see again in `Question.raw`, JSON.
    """

    form: PaymentForm
    provider_day: date
    provider_number: str
    reference: str = ""
    raw: bytes | None = None


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of a provider; the last two name a debt that the treasury collects."""

    order_id: str
    amount_cents: int
    email: str | None
    return_url: str
    language: str
    subject: str
    fiscal_year: int | None = None
    debt_reference: str | None = None


class RawNotice(msgspec.Struct, frozen=True, kw_only=True):
    """What came to an account's notice address, exactly as received."""

    body: bytes
    query: str
    content_type: str


class Nudge(msgspec.Struct, frozen=True, kw_only=True):
    """A notice that proves nothing: the provider is to be asked about `reference`."""

    reference: str


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked about an attempt.

    `reference` is empty when no answer to `prepare` was kept. `asked_count` is how often it was
    asked before. `raw` is the last `Handover.raw` or `Notice.raw`.
    """

    order_id: str
    reference: str
    amount_cents: int
    started_at: datetime
    asked_count: int
    raw: bytes | None = None


class Provider(Protocol):
    """A provider of online payment, for one account of an authority.

    Calls of libraries run in a thread under a time limit; nothing here runs in a transaction.
    """

    @property
    def name(self) -> str:
        """Name of the provider, as events carry it."""
        ...

    @property
    def account(self) -> str:
        """Name of the account."""
        ...

    @property
    def rules(self) -> Rules:
        """What it takes and how it behaves."""
        ...

    async def prepare(self, order: Order) -> Handover:
        """Return the way that leads the payer to the provider.

        Raises:
            ProviderRefusedError: it does not want this order; nobody can pay it.
            ProviderUnavailableError: it does not answer; the order may exist over there.
        """
        ...

    def read_notice(self, raw: RawNotice) -> Notice | Nudge:
        """Return what a notice says, its proof checked on the raw values; calls nobody.

        Raises:
            MalformedNoticeError: it is not a notice of this provider.
            NoticeRefusedError: its signature is wrong.
        """
        ...

    async def ask(self, question: Question) -> Notice | None:
        """Return what the provider says of an attempt; None while it does not know.

        Only called where `rules.can_be_asked`.

        Raises:
            ProviderUnavailableError: it does not answer.
            ProviderRefusedError: it never will answer this question.
        """
        ...


class Providers(Protocol):
    """The accounts that are configured."""

    def for_regies(self, authority: str, regies: set[str], route: str = "regie") -> Provider | None:
        """Return the account that takes the money of all these régies on this route, or None."""
        ...

    def by_account(self, provider: str, account: str) -> Provider | None:
        """Return an account by name, or None."""
        ...

    def terms(self, provider: str, account: str) -> Terms:
        """Return what the authority decided for an account; the default for one that is gone."""
        ...
