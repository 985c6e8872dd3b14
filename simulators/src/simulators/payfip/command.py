"""The command line of PayFiP."""

import argparse
import asyncio
from datetime import timedelta

from simulators.payfip.app import Terms, create_app
from simulators.payfip.clients import ClientError, read_client_option
from simulators.payfip.counter import SETTLE_AFTER
from simulators.payfip.notices import NOTICE_TIMEOUT_SECONDS
from simulators.payfip.requests import FORM_MAXIMUM_CENTS, WEB_SERVICE_MAXIMUM_CENTS
from simulators.serving import amount_cents, port_number, seconds, serve_until_stopped

SUMMARY = "PayFiP (ex-TIPI): SOAP service, payer's page, unsigned notice, form mode."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=port_number, required=True, help="HTTP port, 0 for any")
    parser.add_argument(
        "--client",
        action="append",
        default=[],
        metavar="NUMCLI:LABEL[:LABEL[:LABEL]]",
        help="a public body that takes test and real payments; may be repeated",
    )
    parser.add_argument(
        "--inactive-client",
        action="append",
        default=[],
        metavar="NUMCLI:LABEL[:LABEL[:LABEL]]",
        help="one whose activation is not over: test and activation payments only",
    )
    parser.add_argument(
        "--maximum",
        type=amount_cents,
        default=WEB_SERVICE_MAXIMUM_CENTS,
        metavar="CENTS",
        help="largest payment of the web service (default: %(default)s)",
    )
    parser.add_argument(
        "--form-maximum",
        type=amount_cents,
        default=FORM_MAXIMUM_CENTS,
        metavar="CENTS",
        help="largest payment of the form mode (default: %(default)s)",
    )
    parser.add_argument(
        "--settle-after",
        type=seconds,
        default=SETTLE_AFTER.total_seconds(),
        metavar="SECONDS",
        help="how long early_notice, late_success and v_then_z hide the truth"
        " (default: %(default)s)",
    )
    parser.add_argument(
        "--notice-timeout",
        type=seconds,
        default=NOTICE_TIMEOUT_SECONDS,
        metavar="SECONDS",
        help="longest wait for the answer to a notice (default: %(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Serve until stopped; leaves with a usage message when a client is described wrongly."""
    parser: argparse.ArgumentParser = options.parser
    try:
        clients = [read_client_option(text, is_live=True) for text in options.client]
        clients += [read_client_option(text, is_live=False) for text in options.inactive_client]
        if not clients:
            parser.error("at least one client is needed: --client or --inactive-client")
        terms = Terms(
            web_service_maximum_cents=options.maximum,
            form_maximum_cents=options.form_maximum,
            settle_after=timedelta(seconds=options.settle_after),
            notice_timeout_seconds=options.notice_timeout,
        )
        app = create_app(clients, terms=terms)
    except ClientError as error:
        parser.error(str(error))
    asyncio.run(
        serve_until_stopped(
            app, options.host, options.port, lambda base: f"payfip listening on {base}"
        )
    )
    return 0
