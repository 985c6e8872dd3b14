"""The command line of FranceConnect."""

import argparse
import asyncio

from simulators.france_connect.app import create_app
from simulators.france_connect.clients import Client, ClientError
from simulators.france_connect.demands import Rules
from simulators.serving import port_number, serve_until_stopped

SUMMARY = "FranceConnect v2: OpenID Connect with the State's limits, made-up persons to be."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=port_number, required=True, help="HTTP port, 0 for any")
    parser.add_argument(
        "--client",
        action="append",
        nargs=4,
        default=[],
        metavar=("ID", "SECRET", "REDIRECT_URI", "LOGOUT_URI"),
        help="a service provider and its two registered addresses; may be repeated",
    )
    parser.add_argument(
        "--unsigned-userinfo",
        action="store_true",
        help="the clients' userinfo is JSON, as in the sandbox",
    )
    parser.add_argument(
        "--pkce", action="store_true", help="take a code challenge, and hold the client to it"
    )


def run(options: argparse.Namespace) -> int:
    """Serve until stopped; leaves with a usage message when a client is described wrongly."""
    parser: argparse.ArgumentParser = options.parser
    try:
        clients = [
            Client(
                client_id=client_id,
                client_secret=secret,
                redirect_uris=(redirect_uri,),
                logout_uris=(logout_uri,),
                is_userinfo_signed=not options.unsigned_userinfo,
            )
            for client_id, secret, redirect_uri, logout_uri in options.client
        ]
        if not clients:
            parser.error("at least one client is needed: --client")
        app = create_app(clients, rules=Rules(has_pkce=options.pkce))
    except ClientError as error:
        parser.error(str(error))
    asyncio.run(
        serve_until_stopped(
            app, options.host, options.port, lambda base: f"france_connect listening on {base}"
        )
    )
    return 0
