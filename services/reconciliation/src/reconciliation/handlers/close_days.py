"""Closes, by the clock, the days that are over: what they hold will never change any more."""

import asyncio
from datetime import timedelta

from reconciliation.domain.closing import add_up, every_total, last_closable, next_day
from reconciliation.domain.collection_file_ports import CollectionFiles, OpenFiles
from reconciliation.handlers.order_collection_files import plan_file
from shared.clock import Clock


async def close_days(open_files: OpenFiles, clock: Clock, grace: timedelta) -> int:
    """Close every day that is over and return how many; each is closed once, by one replica.

    Nights that were missed are caught up, the oldest first, each in a transaction of its own.
    """
    last = last_closable(clock.now(), grace)
    async with open_files() as files:
        authorities = await files.authorities_to_close(last)
    count = 0
    for authority in authorities:
        is_behind = True
        while is_behind:
            async with open_files() as files:
                is_behind = await _close_next(files, authority, clock, grace)
            count += is_behind
    return count


async def _close_next(
    files: CollectionFiles, authority: str, clock: Clock, grace: timedelta
) -> bool:
    now = clock.now()
    # Under the lock: a replica that waited here finds the day closed and goes on.
    day = next_day(await files.lock_days(authority), last_closable(now, grace))
    if day is None:
        return False
    movements = await files.movements(authority, None, day, day)
    found = await asyncio.to_thread(add_up, movements)
    regies = {total.regie for total in found} | await files.known_regies(authority, day)
    await files.close(authority, day, every_total(found, regies, (day, day), day), now)
    for setting in await files.settings(authority, None):
        await plan_file(files, setting, day, now)
    return True
