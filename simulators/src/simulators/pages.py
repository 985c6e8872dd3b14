"""The pages of the simulators: one template folder, one stylesheet, one set of headers."""

from datetime import UTC, datetime
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

PARIS = ZoneInfo("Europe/Paris")

CONTENT_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# The frame that shows a mail inherits this policy: mails bring inline styles and inline images.
MAIL_CONTENT_POLICY = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src data:; frame-ancestors 'none'"
)


def euros(amount_cents: int) -> str:
    """Write cents as a French amount: 123456 becomes `1 234,56 €` with no-break spaces."""
    whole, cents = divmod(amount_cents, 100)
    grouped = f"{whole:,}".replace(",", "\u202f")
    return f"{grouped},{cents:02d}\u00a0€"


def paris_time(instant: datetime) -> str:
    """Write an aware instant as a French date and time of day in Paris."""
    return instant.astimezone(PARIS).strftime("%d/%m/%Y à %H:%M:%S")


def utc_now() -> datetime:
    """Return the machine's time, aware, in UTC."""
    return datetime.now(UTC)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("simulators"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["euros"] = euros
    environment.filters["paris_time"] = paris_time
    return environment


def page(
    template: str,
    status: int = 200,
    policy: str = CONTENT_POLICY,
    **values: object,
) -> web.Response:
    """Render `template` as an HTML answer that is not cached nor framed elsewhere."""
    text = _environment().get_template(template).render(values)
    return web.Response(
        # A lone surrogate from a broken mail cannot be encoded; it is shown as a question mark.
        body=text.encode("utf-8", "replace"),
        status=status,
        content_type="text/html",
        charset="utf-8",
        headers={
            "Cache-Control": "no-store",
            "Content-Security-Policy": policy,
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        },
    )


async def show_stylesheet(_: web.Request) -> web.Response:
    """Serve the stylesheet shared by the simulators' pages."""
    text = resources.files("simulators").joinpath("static/style.css").read_text("utf-8")
    return web.Response(text=text, content_type="text/css")


async def show_life(_: web.Request) -> web.Response:
    """Say that the process answers."""
    return web.json_response({"status": "alive"})


def page_routes() -> list[web.RouteDef]:
    """Return the routes every simulator has: the stylesheet and `/livez`."""
    return [web.get("/static/style.css", show_stylesheet), web.get("/livez", show_life)]
