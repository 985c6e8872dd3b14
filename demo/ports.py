"""Which port each part of the demo listens on."""

import os
import random
import socket

DEFAULT_BASE = 8800
STEP = 40
TRIES = 60

NAMES = (
    "portal",
    "ingestion",
    "publication",
    "payment",
    "reconciliation",
    "notification",
    "figures",
    "card_provider",
    "mailbox",
    "smtp",
    "kafka",
    "database",
    "payfip",
    "push",
    "france_connect",
)

REFUSED_BY_BROWSERS = frozenset(
    {1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566}
    | {6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080}
)
"""The bad ports of the Fetch standard, but for those that need rights: no page opens there."""


class PortError(Exception):
    """No run of free ports, or the asked ones are taken."""


def choose() -> dict[str, int]:
    """Return a free port for each name: from DEMO_PORT_BASE, or the first free run of ports.

    Raises:
        PortError: DEMO_PORT_BASE is given, and one of its ports is taken or refused by browsers.
    """
    asked = os.environ.get("DEMO_PORT_BASE")
    if asked:
        ports = _run_from(int(asked))
        taken = [port for port in ports.values() if not _is_usable(port)]
        if taken:
            message = (
                f"ports already taken, or refused by browsers: {taken};"
                " choose another DEMO_PORT_BASE"
            )
            raise PortError(message)
        return ports
    # By chance after the first: two towns that start together must not want the same ports.
    for number in (0, *random.sample(range(1, TRIES), TRIES - 1)):
        ports = _run_from(DEFAULT_BASE + number * STEP)
        if all(_is_usable(port) for port in ports.values()):
            return ports
    message = "no free run of ports found"
    raise PortError(message)


def _run_from(base: int) -> dict[str, int]:
    return {name: base + offset for offset, name in enumerate(NAMES)}


def _is_usable(port: int) -> bool:
    return port not in REFUSED_BY_BROWSERS and _is_free(port)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
