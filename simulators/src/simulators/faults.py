"""Fault switches: what a simulator should do wrong, set and reset over HTTP while it runs."""

import json
from collections.abc import Mapping
from enum import StrEnum

from aiohttp import web

MAX_SECONDS = 3600.0
MAX_COUNT = 1_000_000


class SwitchKind(StrEnum):
    """What a switch holds."""

    COUNT = "count"
    """`true`: until reset; N: the next N times; `false` or 0: off."""
    SECONDS = "seconds"
    """A length of time; 0 is off."""


class FaultError(Exception):
    """A request named a switch that does not exist, or gave it a value it cannot hold."""

    def __init__(self, *, slug: str, name: str, detail: str) -> None:
        """Keep the stable `slug`, the switch it is about and a sentence for people."""
        super().__init__(detail)
        self.slug = slug
        self.name = name
        self.detail = detail


class FaultBoard:
    """The switches of one simulator, all off at first."""

    def __init__(self, switches: Mapping[str, SwitchKind]) -> None:
        """Offer `switches`, by name."""
        self._kinds = dict(switches)
        self._values: dict[str, bool | float] = {}
        self.reset()

    def reset(self) -> None:
        """Turn every switch off."""
        self._values = {
            name: False if kind is SwitchKind.COUNT else 0.0 for name, kind in self._kinds.items()
        }

    def change(self, wanted: Mapping[str, object]) -> None:
        """Set the switches named in `wanted` and leave the others; all or none are set.

        Raises:
            FaultError: unknown switch, or a value of the wrong kind or out of range.
        """
        accepted = {name: self._accept(name, value) for name, value in wanted.items()}
        self._values.update(accepted)

    def take(self, name: str) -> bool:
        """Say whether the fault happens now, and use up one of the times asked for."""
        value = self._values[name]
        if isinstance(value, bool):
            return value
        if value <= 0:
            return False
        self._values[name] = value - 1 if value > 1 else False
        return True

    def seconds(self, name: str) -> float:
        """Return the length of time set on the switch `name`."""
        return float(self._values[name])

    def as_json(self) -> dict[str, bool | float]:
        """Return the state of every switch."""
        return dict(self._values)

    def _accept(self, name: str, value: object) -> bool | float:
        kind = self._kinds.get(name)
        if kind is None:
            known = ", ".join(self._kinds)
            raise FaultError(
                slug="unknown-fault",
                name=name,
                detail=f"no switch is called {name}; known: {known}",
            )
        if kind is SwitchKind.COUNT:
            if isinstance(value, bool):
                return value
            if isinstance(value, int) and 0 <= value <= MAX_COUNT:
                return value or False
            raise FaultError(
                slug="invalid-fault",
                name=name,
                detail=f"{name} takes true, false or a count of times",
            )
        if isinstance(value, int | float) and _is_length(value):
            return float(value)
        raise FaultError(
            slug="invalid-fault",
            name=name,
            detail=f"{name} takes seconds from 0 to {MAX_SECONDS:g}",
        )


def _is_length(value: float) -> bool:
    # A boolean is a number for Python; it is no length of time.
    return not isinstance(value, bool) and 0 <= value <= MAX_SECONDS


def fault_routes(board: FaultBoard) -> list[web.RouteDef]:
    """Return the routes `GET|POST|DELETE /api/faults` that show, set and reset `board`."""

    async def show(_: web.Request) -> web.Response:
        return web.json_response(board.as_json())

    async def change(request: web.Request) -> web.Response:
        try:
            wanted = json.loads(await request.text())
        except ValueError:
            return problem(400, "not-json", "the body is not JSON")
        if not isinstance(wanted, dict):
            return problem(400, "not-an-object", "the body is not a JSON object of switches")
        try:
            board.change(wanted)
        except FaultError as error:
            return problem(400, error.slug, error.detail, pointer=f"/{error.name}")
        return web.json_response(board.as_json())

    async def reset(_: web.Request) -> web.Response:
        board.reset()
        return web.json_response(board.as_json())

    return [
        web.get("/api/faults", show),
        web.post("/api/faults", change),
        web.delete("/api/faults", reset),
    ]


def problem(status: int, slug: str, detail: str, **more: object) -> web.Response:
    """Build an RFC 9457 answer whose `type` is the stable `slug`."""
    return web.json_response(
        {"type": slug, "title": detail, "status": status, **more},
        status=status,
        content_type="application/problem+json",
    )
