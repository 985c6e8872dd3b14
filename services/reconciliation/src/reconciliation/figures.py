"""`python -m reconciliation.figures [run|reset]`: the live figures in a process of their own."""

import argparse
import asyncio
import os
import shutil
import sys
from pathlib import Path

import msgspec

from reconciliation.api.figures import Views
from reconciliation.settings import FiguresSettings
from reconciliation.streams import APPLICATION, CHANGELOG, SOURCES, FiguresStream
from shared import environment, logs, topics
from shared.auth import JwksAuthenticator
from shared.errors import QuittanceError
from shared.http import create_application
from shared.service import serve


async def run(settings: FiguresSettings) -> None:
    """Count and serve until told to stop."""
    stream = FiguresStream(
        settings,
        folder=Path(settings.figures_data_dir),
        partitions=settings.figures_partitions,
        replication=settings.figures_replication,
        rebalance_seconds=settings.figures_rebalance_seconds,
    )
    views = Views(stream.figures)
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
    await topics.forget_topics(settings, [CHANGELOG])
    await topics.rewind(settings, APPLICATION, sorted({event.TOPIC for event in SOURCES}))


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
