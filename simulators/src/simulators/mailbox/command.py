"""The command line of the mailbox."""

import argparse
import asyncio

from simulators.mailbox.app import SMTP_PORT, create_app
from simulators.mailbox.letterbox import MESSAGES_KEPT
from simulators.serving import port_number, serve_until_stopped

SUMMARY = "Mailbox: an SMTP server that keeps messages, with a web page and a JSON API."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--http-port", type=port_number, required=True, help="0 for any")
    parser.add_argument("--smtp-port", type=port_number, required=True, help="0 for any")
    parser.add_argument(
        "--keep",
        type=_count,
        default=MESSAGES_KEPT,
        metavar="N",
        help="how many of the newest messages are kept (default: %(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Serve until stopped."""
    app = create_app(
        smtp_host=options.host, smtp_port=options.smtp_port, messages_kept=options.keep
    )

    def announce(base: str) -> str:
        return f"mailbox listening on {base} smtp://{options.host}:{app[SMTP_PORT]}"

    asyncio.run(serve_until_stopped(app, options.host, options.http_port, announce))
    return 0


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        message = f"{text} is not a count of messages"
        raise argparse.ArgumentTypeError(message)
    return count
