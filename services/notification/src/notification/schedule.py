"""What notification does by the clock: it forgets messages that no replay can meet any more."""

import asyncio
from collections.abc import Awaitable, Callable

from shared.errors import TransientError
from shared.logs import get_logger
from shared.postgres import RETRYABLE_ERRORS

logger = get_logger(__name__)


async def tidy_regularly(
    tidy: Callable[[], Awaitable[None]], interval_seconds: float, stopping: asyncio.Event
) -> None:
    """Call `tidy` every `interval_seconds` until `stopping` is set."""
    while not stopping.is_set():
        try:
            await tidy()
        except (TransientError, *RETRYABLE_ERRORS) as error:
            logger.warning("tidying put off", error=repr(error))
        try:
            await asyncio.wait_for(stopping.wait(), interval_seconds)
        except TimeoutError:
            continue
