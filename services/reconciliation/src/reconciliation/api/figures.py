"""The doors of the live figures."""

from collections.abc import Callable
from datetime import date

import msgspec
from aiohttp import web

from reconciliation.domain.figures import DayFigure, Figures, StepFigure
from shared.http import Operation, ProblemError, json_response, principal


class CollectedFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What an authority collected, by day and régie."""

    authority: str
    items: tuple[DayFigure, ...]


class DelayFigures(msgspec.Struct, frozen=True, kw_only=True):
    """How long the steps take for an authority's invoices."""

    authority: str
    steps: tuple[StepFigure, ...]


class Views:
    """The HTTP views over the sums."""

    def __init__(self, figures: Callable[[], Figures]) -> None:
        """Read the sums with `figures`, which raises while they cannot be told."""
        self._figures = figures

    async def get_collected(self, request: web.Request) -> web.Response:
        """Return what an authority collected between two days."""
        authority = _authority(request)
        try:
            first, last = (date.fromisoformat(request.query[name]) for name in ("from", "to"))
        except (KeyError, ValueError) as error:
            raise ProblemError(400, "invalid-day", "Les jours s’écrivent AAAA-MM-JJ.") from error
        items = self._figures().collected(authority, first, last)
        return json_response(CollectedFigures(authority=authority, items=tuple(items)))

    async def get_delays(self, request: web.Request) -> web.Response:
        """Return how long the steps take."""
        authority = _authority(request)
        steps = self._figures().delays(authority)
        return json_response(DelayFigures(authority=authority, steps=tuple(steps)))

    async def recovered(self) -> None:
        """Return when the table is whole.

        Raises:
            NotRecoveredError: it is not.
        """
        self._figures()

    def operations(self) -> list[Operation]:
        """Return what is served."""
        return [
            Operation(
                method="GET",
                path="/figures/collected",
                handler=self.get_collected,
                summary="What an authority collected, by day and régie.",
                scope="figures:read",
                query={"authority": "Whose.", "from": "First day.", "to": "Last day."},
                responses={200: CollectedFigures},
            ),
            Operation(
                method="GET",
                path="/figures/delays",
                handler=self.get_delays,
                summary="How long the steps take.",
                scope="figures:read",
                query={"authority": "Whose."},
                responses={200: DelayFigures},
            ),
        ]


def _authority(request: web.Request) -> str:
    asked = request.query.get("authority", "")
    caller = principal(request)
    if not asked or not caller.may_act_for(asked):
        raise ProblemError(404, "unknown-authority", "Cette collectivité n’est pas connue.")
    return asked
