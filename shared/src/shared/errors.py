"""The error tree: what went wrong decides what the consumer loop and the HTTP layer do.

QuittanceError
├── PermanentError          trying again cannot help: dead letter, or a 4xx answer
│   ├── ContractError       the bytes are not what the contract says
│   └── DomainError         the rule of the trade says no
└── TransientError          trying again may help: bounded retry, or a 503 answer
"""

from typing import ClassVar


class QuittanceError(Exception):
    """Root of our own errors; `slug` is the stable name programs may rely on."""

    slug: ClassVar[str] = "error"


class PermanentError(QuittanceError):
    """Trying again gives the same result."""

    slug: ClassVar[str] = "permanent"


class ContractError(PermanentError):
    """A record or a body does not follow its published contract."""

    slug: ClassVar[str] = "contract"


class DomainError(PermanentError):
    """A rule of the trade refuses what was asked."""

    slug: ClassVar[str] = "refused"


class TransientError(QuittanceError):
    """The same call may succeed later."""

    slug: ClassVar[str] = "unavailable"


class TooManyBurialsError(QuittanceError):
    """So many records in a row were bad that the code, not the data, is the likely cause."""

    slug: ClassVar[str] = "too-many-burials"


class SettingsError(QuittanceError):
    """The environment does not give a service what it needs; lists every problem at once."""

    slug: ClassVar[str] = "settings"
