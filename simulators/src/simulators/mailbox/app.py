"""The mailbox's HTTP doors: the page for people, the API for programs; SMTP starts with it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime

from aiohttp import web

from simulators.faults import FaultBoard, fault_routes, problem
from simulators.mailbox.letterbox import MESSAGES_KEPT, Letterbox
from simulators.mailbox.parsing import Message
from simulators.mailbox.smtp import SWITCHES, Sleep, listening
from simulators.pages import MAIL_CONTENT_POLICY, page, page_routes, utc_now

MAX_ROWS_SHOWN = 200

LETTERBOX = web.AppKey("letterbox", Letterbox)
SMTP_PORT = web.AppKey("smtp_port", int)
"""The port that SMTP listens on, set once the application has started."""


def create_app(
    *,
    smtp_host: str = "127.0.0.1",
    smtp_port: int = 0,
    messages_kept: int = MESSAGES_KEPT,
    clock: Callable[[], datetime] = utc_now,
    sleep: Sleep = asyncio.sleep,
) -> web.Application:
    """Build the mailbox; SMTP listens from the application's start to its cleanup."""
    app = web.Application()
    letterbox = Letterbox(messages_kept, clock)
    faults = FaultBoard(SWITCHES)
    app[LETTERBOX] = letterbox
    doors = _Doors(letterbox)

    async def run_smtp(app: web.Application) -> AsyncIterator[None]:
        async with listening(letterbox, faults, sleep, smtp_host, smtp_port) as bound_port:
            app[SMTP_PORT] = bound_port
            yield

    app.cleanup_ctx.append(run_smtp)
    app.add_routes(
        [
            web.get("/", doors.show_list),
            web.get("/messages/{id}", doors.show_message),
            web.get("/api/messages", doors.list_messages),
            web.delete("/api/messages", doors.empty),
            web.get("/api/messages/{id}", doors.get_message),
            *fault_routes(faults),
            *page_routes(),
        ]
    )
    return app


class _Doors:
    """The handlers, around one letterbox."""

    def __init__(self, letterbox: Letterbox) -> None:
        self._letterbox = letterbox

    async def show_list(self, _: web.Request) -> web.Response:
        """Show the newest messages."""
        messages = self._letterbox.newest_first()
        return page("mailbox/list.html", messages=messages, shown=messages[:MAX_ROWS_SHOWN])

    async def show_message(self, request: web.Request) -> web.Response:
        """Show one message, its HTML in a frame without scripts beside its text."""
        message = self._letterbox.find(request.match_info["id"])
        if message is None:
            return page("mailbox/unknown.html", status=404)
        return page(
            "mailbox/message.html",
            policy=MAIL_CONTENT_POLICY,
            message=message,
            # A link of the mail opens beside the mailbox, outside the closed frame.
            framed_html=f'<base target="_blank">{message.html}',
        )

    async def list_messages(self, request: web.Request) -> web.Response:
        """List the messages, the newest first; `?to=` keeps those of one recipient."""
        messages = self._letterbox.newest_first()
        if "to" in request.query:
            messages = [entry for entry in messages if entry.is_for(request.query["to"])]
        return web.json_response([_as_json(message) for message in messages])

    async def get_message(self, request: web.Request) -> web.Response:
        """Give one message with its headers and the names of its attachments."""
        message = self._letterbox.find(request.match_info["id"])
        if message is None:
            return problem(404, "unknown-message", "no message has this identifier")
        return web.json_response(
            {
                **_as_json(message),
                "headers": [
                    {"name": header.name, "value": header.value} for header in message.headers
                ],
            }
        )

    async def empty(self, _: web.Request) -> web.Response:
        """Throw every message away."""
        return web.json_response({"deleted": self._letterbox.empty()})


def _as_json(message: Message) -> dict[str, object]:
    return {
        "id": message.id,
        "to": message.to,
        "recipients": list(message.recipients),
        "from": message.sender,
        "subject": message.subject,
        "text": message.text,
        "html": message.html,
        "date": message.date.isoformat(),
        "received_at": message.received_at.isoformat(),
        "message_id": message.message_id,
        "attachments": [
            {
                "name": attachment.name,
                "content_type": attachment.content_type,
                "size_bytes": attachment.size_bytes,
            }
            for attachment in message.attachments
        ],
    }
