"""What happens by the clock, in one process or in several: the deed itself must bear repetition."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from shared.errors import TransientError
from shared.postgres import RETRYABLE_ERRORS

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


async def repeat(
    name: str,
    deed: Callable[[], Awaitable[int]],
    interval_seconds: float,
    stopping: asyncio.Event,
) -> None:
    """Do `deed` every `interval_seconds` until `stopping` is set; it returns how much it did."""
    while not stopping.is_set():
        try:
            count = await deed()
            if count:
                logger.info("done by the clock", deed=name, count=count)
        except (TransientError, *RETRYABLE_ERRORS) as error:
            logger.warning("put off", deed=name, error=repr(error))
        try:
            await asyncio.wait_for(stopping.wait(), interval_seconds)
        except TimeoutError:
            continue
