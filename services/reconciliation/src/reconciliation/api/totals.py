"""The doors of billers to what each day adds up to."""

import asyncio
from datetime import date, timedelta

import msgspec
from aiohttp import web

from reconciliation.domain.closing import Total, add_up, every_total
from reconciliation.domain.collection_file_ports import CollectionFiles, OpenFiles
from shared.auth import Principal
from shared.clock import Clock, paris_date
from shared.http import Operation, ProblemError, json_response, principal

LONGEST_SPAN = timedelta(days=366)


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """Every day of the span and every régie asked for; nothing is recorded on a closed day."""

    items: tuple[Total, ...]
    closed_through: date | None


class TotalDoors:
    """The operations, over closed days and what was recorded since."""

    def __init__(self, open_files: OpenFiles, clock: Clock) -> None:
        """Read through `open_files`."""
        self._open_files = open_files
        self._clock = clock

    async def get_totals(self, request: web.Request) -> web.Response:
        """Return count, sums and digest of each day and régie."""
        caller = biller(request)
        first, last = _span(request)
        last = min(last, paris_date(self._clock.now()))
        regies = [request.query["regie"]] if "regie" in request.query else list(caller.regies)
        for regie in regies:
            require_regie(caller, regie)
        async with self._open_files() as files:
            found, closed_through = await _totals(files, caller.authority, regies, first, last)
        items = every_total(found, regies, (first, last), closed_through)
        return json_response(Totals(items=tuple(items), closed_through=closed_through))

    def operations(self) -> list[Operation]:
        """Return what is served."""
        return [
            Operation(
                method="GET",
                path="/v1/collections/totals",
                handler=self.get_totals,
                summary="Count, sums and digest of each day and régie, to compare with your own.",
                scope="collections:read",
                query={"from": "First day.", "to": "Last day.", "regie": "One régie only."},
                responses={200: Totals},
            ),
        ]


async def _totals(
    files: CollectionFiles, authority: str, regies: list[str], first: date, last: date
) -> tuple[list[Total], date | None]:
    """Return the days that are closed as they were closed, and what the others hold so far."""
    closed_through = (await files.progress(authority)).closed_through
    found = await files.closed(authority, regies, first, last)
    opens = first if closed_through is None else max(first, closed_through + timedelta(days=1))
    if opens <= last:
        movements = await files.movements(authority, regies, opens, last)
        found += await asyncio.to_thread(add_up, movements)
    return found, closed_through


def biller(request: web.Request) -> Principal:
    """Return a caller that speaks for an authority.

    Raises:
        ProblemError: 403 when it does not.
    """
    caller = principal(request)
    if not caller.authority:
        raise ProblemError(403, "no-authority", "Ce jeton n’est lié à aucune collectivité.")
    return caller


def require_regie(caller: Principal, regie: str) -> None:
    """Return if the caller's token covers a régie.

    Raises:
        ProblemError: 404 when it does not, as if there were no such régie.
    """
    if not caller.may_act_for(caller.authority, regie):
        raise ProblemError(404, "unknown-regie", "Cette régie n’est pas connue.")


def read_day(text: str) -> date:
    """Return the day that a biller wrote.

    Raises:
        ProblemError: 400 when it is none.
    """
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ProblemError(400, "invalid-day", "Les jours s’écrivent AAAA-MM-JJ.") from error


def _span(request: web.Request) -> tuple[date, date]:
    first, last = (read_day(request.query.get(name, "")) for name in ("from", "to"))
    if not first <= last <= first + LONGEST_SPAN:
        raise ProblemError(400, "invalid-span", "« from » précède « to », d’un an au plus.")
    return first, last
