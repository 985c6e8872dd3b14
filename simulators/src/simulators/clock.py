"""A clock that runs with the machine's and that tests can move forward, over HTTP as well."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from aiohttp import web

from simulators.faults import problem
from simulators.pages import utc_now

MAX_ADVANCE_SECONDS = 2 * 366 * 86_400


class MovableClock:
    """The time as a simulator sees it: a source, and how far it was moved ahead of it."""

    def __init__(self, source: Callable[[], datetime] = utc_now) -> None:
        """Run with `source`."""
        self._source = source
        self._ahead = timedelta()
        self._moved = asyncio.Event()
        self.sleepers = 0
        """How many wait for a later time."""

    def now(self) -> datetime:
        """Return the simulator's time, aware."""
        return self._source() + self._ahead

    def advance(self, seconds: float) -> None:
        """Move forward and wake whoever waits for a time that has now come."""
        self._ahead += timedelta(seconds=seconds)
        self._moved.set()
        self._moved = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock shows so much later, by itself or because it was moved."""
        until = self.now() + timedelta(seconds=seconds)
        self.sleepers += 1
        try:
            while (left_seconds := (until - self.now()).total_seconds()) > 0:
                with suppress(TimeoutError):  # The time ran by itself: the loop looks again.
                    async with asyncio.timeout(left_seconds):
                        await self._moved.wait()
        finally:
            self.sleepers -= 1


def clock_routes(clock: MovableClock) -> list[web.RouteDef]:
    """Return the routes `GET|POST /api/clock` that show `clock` and move it forward."""

    async def show(_: web.Request) -> web.Response:
        return web.json_response({"now": clock.now().isoformat()})

    async def move(request: web.Request) -> web.Response:
        try:
            wanted = json.loads(await request.text())
        except ValueError:
            return problem(400, "not-json", "the body is not JSON")
        seconds = wanted.get("advance_seconds") if isinstance(wanted, dict) else None
        # A boolean is a number for Python; it is no length of time.
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            return problem(400, "invalid-advance", "advance_seconds is not a number of seconds")
        if not 0 <= seconds <= MAX_ADVANCE_SECONDS:
            return problem(400, "invalid-advance", "the clock goes forward, two years at most")
        clock.advance(seconds)
        return await show(request)

    return [web.get("/api/clock", show), web.post("/api/clock", move)]
