"""`python -m checks run` runs the checks; `python -m checks contracts` writes what is generated."""

import argparse
import sys

from checks import contracts, runner, topics


def _write_generated() -> None:
    contracts.write()
    topics.TARGET.write_text(topics.render(), encoding="utf-8")


def main() -> None:
    """Run the command line; exit 1 when a check failed."""
    parser = argparse.ArgumentParser(prog="python -m checks", description=__doc__)
    parser.add_argument("command", choices=["run", "contracts"])
    parser.add_argument("names", nargs="*", help="with run: only these checks")
    arguments = parser.parse_args()
    if arguments.command == "contracts":
        _write_generated()
        return
    sys.exit(runner.run(arguments.names))


if __name__ == "__main__":
    main()
