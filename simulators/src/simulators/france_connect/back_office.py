"""What tests and people look at: every login, and the keys, which can be replaced."""

import json
from dataclasses import dataclass
from itertools import islice

from aiohttp import web

from simulators.clock import MovableClock
from simulators.faults import problem
from simulators.france_connect.clients import Client
from simulators.france_connect.keys import ALGORITHMS, KeyRing
from simulators.france_connect.persons import PERSONS
from simulators.france_connect.register import Login, Register
from simulators.pages import page

MAX_ROWS_SHOWN = 200


@dataclass(frozen=True, kw_only=True)
class BackOffice:
    """The handlers, around one register."""

    register: Register
    clients: tuple[Client, ...]
    keys: KeyRing
    clock: MovableClock

    async def list_logins(self, _: web.Request) -> web.Response:
        """List every login, the oldest first."""
        return web.json_response([as_json(login) for login in self.register.logins()])

    async def rotate_keys(self, request: web.Request) -> web.Response:
        """Sign with a new key from now on."""
        text = await request.text()
        try:
            wanted = json.loads(text) if text else {}
        except ValueError:
            return problem(400, "not-json", "the body is not JSON")
        algorithm = wanted.get("algorithm", ALGORITHMS[0]) if isinstance(wanted, dict) else None
        if algorithm not in ALGORITHMS:
            return problem(400, "invalid-algorithm", "algorithm is ES256 or RS256")
        key = self.keys.rotate(algorithm, forgets=wanted.get("forget") is True)
        return web.json_response({"kid": key.key_id, "algorithm": key.algorithm})

    async def show_overview(self, _: web.Request) -> web.Response:
        """Show the clients, the persons and the latest logins."""
        logins = list(self.register.logins())
        return page(
            "france_connect/back_office.html",
            clients=self.clients,
            persons=PERSONS,
            logins=list(islice(reversed(logins), MAX_ROWS_SHOWN)),
            count=len(logins),
            now=self.clock.now(),
        )


def as_json(login: Login) -> dict[str, object]:
    """Return the whole truth of a login, without its secrets."""
    demand, person = login.demand, login.person
    return {
        "interaction": login.interaction,
        "client_id": demand.client.client_id,
        "scopes": list(demand.scopes),
        "acr": demand.acr,
        "has_challenge": bool(demand.challenge),
        "person": person.name if person else None,
        "sub": person.subject(demand.client.client_id) if person else None,
        "is_refused": login.is_refused,
        "is_redeemed": login.is_redeemed,
        "is_open": bool(login.session) and login.ended_at is None,
        "started_at": login.started_at.isoformat(),
        "ended_at": login.ended_at.isoformat() if login.ended_at else None,
        "faults": login.faults,
    }
