"""`quittance`, or `python -m quittance_client`: runs one command."""

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import TextIO

from quittance_client.command import FAILED, Surroundings, run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    signal.signal(signal.SIGTERM, _interrupt)
    for stream in (sys.stdout, sys.stderr):
        _never_fail_to_spell(stream)
    around = Surroundings(environment=os.environ, out=sys.stdout, err=sys.stderr, input=sys.stdin)
    try:
        code = run(sys.argv[1:] if arguments is None else arguments, around)
        sys.stdout.flush()
    except BrokenPipeError:
        # Who read our output has left: nothing more can be told, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return code


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """End on SIGTERM as on Ctrl-C: in good order, and ready to go on."""
    raise KeyboardInterrupt


def _never_fail_to_spell(stream: TextIO) -> None:
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")


if __name__ == "__main__":
    sys.exit(main())
