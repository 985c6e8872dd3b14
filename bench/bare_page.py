"""`python -m bench.bare_page PAGE PORT`: the limit of a page, a bare handler with its template.

The gateway's application, with what lies beyond it played, answers the page once; what it gave to
the template is kept, and a bare aiohttp application renders that template from those constants
ever after. DATABASE_URL is a database of the gateway's.
"""

import asyncio
import os
import sys
from datetime import timedelta
from typing import Any
from uuid import uuid5

import aiohttp_jinja2
import uvloop
from aiohttp import web

from shared.clock import FixedClock
from shared.events import InvoicePublished
from shared.postgres import Database
from shared.service import spare_the_collector
from tests.unit.gateway.door import INVOICE_ID, NOW, TODAY, TOKEN, Door, an_invoice
from tests.unit.gateway.fakes import FakePasswords, FakeServices

LISTED = 12
Rendered = tuple[str, dict[str, Any]]


async def constants(page: str) -> tuple[Any, Rendered]:
    """Return the templates' environment and what one page gave them: a name and its context."""
    seen: list[Rendered] = []
    render = aiohttp_jinja2.render_template

    def watch(
        template: str,
        request: web.Request,
        context: dict[str, Any],
        **options: Any,  # noqa: ANN401 - passed on
    ) -> web.Response:
        seen.append((template, dict(context)))
        return render(template, request, context, **options)

    aiohttp_jinja2.render_template = watch  # type: ignore[assignment]
    clock = FixedClock(NOW)
    database = await Database.connect(
        os.environ["DATABASE_URL"], size=2, service="bench", clock=clock
    )
    async with Door(database, clock, FakeServices(), FakePasswords()) as door:
        await door.publish(an_invoice())
        if page == "list":
            await door.log_in(email="bench@exemple.test")
            await door.publish(*(_listed(number) for number in range(LISTED)))
        answer = await door.get("/factures" if page == "list" else f"/q/{TOKEN}")
        if answer.status != 200:
            raise RuntimeError(answer.text)
        environment = door.templates
    await database.close()
    aiohttp_jinja2.render_template = render
    return environment, seen[-1]


def _listed(number: int) -> InvoicePublished:
    return an_invoice(
        invoice_id=uuid5(INVOICE_ID, str(number)),
        token=f"bare-page-{number:012d}",
        number=f"2026-{number:05d}",
        email="bench@exemple.test",
        due_on=TODAY + timedelta(days=number - 3),
    )


async def serve(page: str, port: int) -> None:
    """Serve the page at `/` until told to stop."""
    environment, (template, context) = await constants(page)
    application = web.Application()
    application[aiohttp_jinja2.APP_KEY] = environment

    async def get(request: web.Request) -> web.Response:
        return aiohttp_jinja2.render_template(template, request, context)

    application.router.add_get("/", get)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    # As our services do.
    spare_the_collector()
    print("listening", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as running:
        running.run(serve(sys.argv[1], int(sys.argv[2])))
