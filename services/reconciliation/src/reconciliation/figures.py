"""`python -m reconciliation.figures [run|reset]`: the live figures in a process of their own."""

import argparse
import asyncio
import os
import shutil
import sys
from datetime import date
from pathlib import Path

import msgspec
from aiohttp import web

from reconciliation.figures_rules import DayFigure, StepFigure
from reconciliation.settings import FiguresSettings
from reconciliation.streams import APPLICATION, CHANGELOG, SOURCES, FiguresStream
from shared import environment, kafka, logs
from shared.auth import JwksAuthenticator
from shared.errors import QuittanceError
from shared.http import Operation, ProblemError, create_application, json_response, principal
from shared.service import serve


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

    def __init__(self, stream: FiguresStream) -> None:
        """Read from `stream`."""
        self._stream = stream

    async def get_collected(self, request: web.Request) -> web.Response:
        """Return what an authority collected between two days."""
        authority = _authority(request)
        try:
            first, last = (date.fromisoformat(request.query[name]) for name in ("from", "to"))
        except (KeyError, ValueError) as error:
            raise ProblemError(400, "invalid-day", "Les jours s’écrivent AAAA-MM-JJ.") from error
        items = self._stream.figures().collected(authority, first, last)
        return json_response(CollectedFigures(authority=authority, items=tuple(items)))

    async def get_delays(self, request: web.Request) -> web.Response:
        """Return how long the steps take."""
        authority = _authority(request)
        steps = self._stream.figures().delays(authority)
        return json_response(DelayFigures(authority=authority, steps=tuple(steps)))

    async def recovered(self) -> None:
        """Return when the table is whole.

        Raises:
            NotRecoveredError: it is not.
        """
        self._stream.figures()

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


async def run(settings: FiguresSettings) -> None:
    """Count and serve until told to stop."""
    stream = FiguresStream(
        settings,
        folder=Path(settings.figures_data_dir),
        partitions=settings.figures_partitions,
        replication=settings.figures_replication,
    )
    views = Views(stream)
    application = create_application(
        "figures",
        views.operations(),
        authenticator=JwksAuthenticator(settings.jwks_url, settings.token_issuer),
        checks={"table": views.recovered},
        alive=stream.alive,
    )
    served = msgspec.structs.replace(settings, http_port=settings.figures_http_port)
    await serve(application, served, [stream.run])


async def reset(settings: FiguresSettings) -> None:
    """Forget everything, so that the next start counts again from the first event.

    The process must be stopped: a group with members keeps its offsets.
    """
    await asyncio.to_thread(shutil.rmtree, settings.figures_data_dir, ignore_errors=True)
    await kafka.forget_topics(settings, [CHANGELOG])
    await kafka.rewind(settings, APPLICATION, sorted({event.TOPIC for event in SOURCES}))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="reconciliation.figures")
    parser.add_argument("command", nargs="?", default="run", choices=["run", "reset"])
    command = parser.parse_args().command
    try:
        settings = environment.read(FiguresSettings, os.environ)
        logs.configure("figures", level=settings.log_level, form=settings.log_format)
        asyncio.run(run(settings) if command == "run" else reset(settings))
    except QuittanceError as error:
        sys.exit(f"figures: {error.slug}: {error}")


if __name__ == "__main__":
    main()
