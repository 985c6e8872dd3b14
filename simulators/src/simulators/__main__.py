"""`python -m simulators NAME`: run one simulator until it is told to stop."""

import argparse
import sys
from collections.abc import Sequence

from simulators.card_provider import command as card_provider
from simulators.france_connect import command as france_connect
from simulators.mailbox import command as mailbox
from simulators.payfip import command as payfip
from simulators.push import command as push


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the simulator named first on the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m simulators", description=__doc__)
    commands = parser.add_subparsers(dest="simulator", required=True, metavar="SIMULATOR")
    for name, command in (
        ("card_provider", card_provider),
        ("payfip", payfip),
        ("france_connect", france_connect),
        ("mailbox", mailbox),
        ("push", push),
    ):
        described = commands.add_parser(name, help=command.SUMMARY, description=command.SUMMARY)
        command.add_arguments(described)
        described.set_defaults(run=command.run, parser=described)
    options = parser.parse_args(arguments)
    try:
        status: int = options.run(options)
    except OSError as error:
        # Most often the port is taken; one line says it better than a traceback.
        sys.stderr.write(f"{options.simulator} cannot start: {error}\n")
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main())
