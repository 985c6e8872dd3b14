"""The command line of the push service."""

import argparse
import asyncio

from simulators.push.app import create_app
from simulators.serving import port_number, serve_until_stopped

SUMMARY = "Push service (RFC 8030): takes pushes, checks who sends, opens and shows them."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=port_number, required=True, help="0 for any")


def run(options: argparse.Namespace) -> int:
    """Serve until stopped."""

    def announce(base: str) -> str:
        return f"push service listening on {base}"

    asyncio.run(serve_until_stopped(create_app(), options.host, options.port, announce))
    return 0
