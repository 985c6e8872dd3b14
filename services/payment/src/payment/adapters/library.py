"""eopayment and what it uses: off the event loop, within a time, and silent."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any, TypeVar

import eopayment

from payment.ports import ProviderUnavailableError

T = TypeVar("T")

TALKATIVE = (
    "eopayment",
    "eopayment.common",
    "eopayment.mollie",
    "eopayment.ogone",
    "eopayment.paybox",
    "eopayment.sips2",
    "eopayment.systempayv2",
    "eopayment.tipi",
    "zeep.transports",
)
"""Loggers that tell keys, payers' addresses or whole messages at level DEBUG."""

CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0
"""How long a connection may take to open, and to say something: less than `Calls` waits."""

silent = logging.Logger("eopayment")  # noqa: LOG001 - outside the tree, so that no level opens it
silent.disabled = True


def _nothing(_record: logging.LogRecord) -> bool:
    return False


# Not every module takes the logger it is given. A filter holds whatever level is set later on.
for _name in TALKATIVE:
    logging.getLogger(_name).addFilter(_nothing)


class Calls:
    """Threads of their own for some calls: while these wait for a provider, nobody else does."""

    def __init__(self, name: str, *, threads: int, seconds: float) -> None:
        """Run at most `threads` calls at once, each answered within `seconds`, waiting included."""
        self._seconds = seconds
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=f"provider-{name}")

    async def run(self, function: Callable[..., T], *arguments: object) -> T:
        """Return what `function` returns, and raise what it raises.

        Raises:
            ProviderUnavailableError: the time is over. A call that has begun ends by itself, since
                the connection has its own, shorter limit; its answer is dropped.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._seconds):
                return await loop.run_in_executor(self._threads, function, *arguments)
        except TimeoutError as error:
            message = "no answer in time"
            raise ProviderUnavailableError(message) from error


def backend(kind: str, options: dict[str, Any]) -> Any:  # noqa: ANN401 - eopayment has no types
    """Return the library's code for a kind of provider; its modules are loaded at first use."""
    return eopayment.Payment(kind, options, logger=silent).backend


def euros(cents: int) -> Decimal:
    """Return an amount as the library takes it: exact, with two decimals."""
    return Decimal(cents).scaleb(-2)


def form_fields(form: Any) -> dict[str, str]:  # noqa: ANN401 - eopayment has no types
    """Return the fields of a form that the library made."""
    return {field["name"]: field["value"] for field in form.fields}
