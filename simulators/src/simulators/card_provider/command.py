"""The command line of the card provider."""

import argparse
import asyncio
from datetime import timedelta
from pathlib import Path

from simulators.card_provider.app import SESSION_LIFETIME, create_app
from simulators.card_provider.notices import (
    NOTICE_TIMEOUT_SECONDS,
    SETTLE_AFTER_SECONDS,
    NoticeTimes,
    RetryRule,
)
from simulators.card_provider.notices import RETRY_DELAYS_SECONDS as RETRY_DELAYS
from simulators.card_provider.sites import SiteError, read_site_option, read_sites_file
from simulators.pages import utc_now
from simulators.serving import port_number, seconds, serve_until_stopped

SUMMARY = "Card provider: Lyra form payment V2 (PayZen, SystemPay) with signed notices."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=port_number, required=True, help="HTTP port, 0 for any")
    parser.add_argument(
        "--site",
        action="append",
        default=[],
        metavar="ID:KEY[:NOTIFY_URL]",
        help="a shop with its TEST key; may be repeated",
    )
    parser.add_argument("--sites", type=Path, metavar="FILE", help="JSON file of shops")
    parser.add_argument(
        "--retry-delays",
        type=_delays,
        default=RETRY_DELAYS,
        metavar="SECONDS,…",
        help="waits before each new try of a refused notice (default: %(default)s)",
    )
    parser.add_argument(
        "--retry-rule",
        type=RetryRule,
        choices=list(RetryRule),
        default=RetryRule.DELAYS,
        help="the delays above, or what Lyra's documents tell (default: %(default)s)",
    )
    parser.add_argument(
        "--settle-after",
        type=seconds,
        default=SETTLE_AFTER_SECONDS,
        metavar="SECONDS",
        help="how long after an abandonment late_success takes the money (default: %(default)s)",
    )
    parser.add_argument(
        "--notice-timeout",
        type=seconds,
        default=NOTICE_TIMEOUT_SECONDS,
        metavar="SECONDS",
        help="longest wait for the answer to a notice (default: %(default)s)",
    )
    parser.add_argument(
        "--session-lifetime",
        type=seconds,
        default=SESSION_LIFETIME.total_seconds(),
        metavar="SECONDS",
        help="how long a payer may take (default: %(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Serve until stopped; leaves with a usage message when a shop is described wrongly."""
    parser: argparse.ArgumentParser = options.parser
    try:
        sites = [read_site_option(text) for text in options.site]
        if options.sites is not None:
            sites += read_sites_file(options.sites)
        if not sites:
            parser.error("at least one shop is needed: --site or --sites")
        app = create_app(
            sites,
            times=NoticeTimes(
                clock=utc_now,
                retry_delays_seconds=options.retry_delays,
                timeout_seconds=options.notice_timeout,
                retry_rule=options.retry_rule,
                settle_after_seconds=options.settle_after,
            ),
            session_lifetime=timedelta(seconds=options.session_lifetime),
        )
    except SiteError as error:
        parser.error(str(error))
    asyncio.run(
        serve_until_stopped(
            app, options.host, options.port, lambda base: f"card_provider listening on {base}"
        )
    )
    return 0


def _delays(text: str) -> tuple[float, ...]:
    return tuple(seconds(part) for part in text.split(",") if part)
