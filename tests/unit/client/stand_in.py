"""A stand-in for the doors, on a real socket in a thread of its own: speaks docs/billers.md.

Its reader knows one rule: an invoice whose amount is not above zero is rejected.
"""

import asyncio
import base64
import json
import ssl
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import unquote_plus

from aiohttp import web

CLIENT_ID = "facturation-saint-aubin"
SECRET = "s3cret:é %+"
PDF = b"%PDF-1.7\n" + b"papier " * 20_000


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A request as it arrived, whole."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What happens instead of an answer: a status, or the connection cut."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)
    cut_after_bytes: int | None = None
    is_done_before_cut: bool = False
    """Whether the work is done and only its answer is lost."""


class StandIn:
    """The doors; what a test wants of them is set on its fields before, and read after."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.seen: list[Seen] = []
        self.answers: Counter[tuple[str, str]] = Counter()
        """How often each door did its work."""
        self.faults: dict[tuple[str, str], deque[Fault]] = defaultdict(deque)
        self.deposits: dict[str, dict[str, Any]] = {}
        self.lines: dict[str, list[dict[str, Any]]] = {}
        self.keys: dict[str, tuple[str, bytes]] = {}
        self.reading_steps = 0
        """How often a deposit is still being read when it is asked for."""
        self.failure: dict[str, str] | None = None
        self.lines_per_page = 1000
        self.items: list[dict[str, Any]] = []
        self.items_per_page = 2
        self.paperless: list[dict[str, str]] = []
        self.acknowledged = "0"
        self.tokens = 0
        self.valid: set[str] = set()
        self.lifetime_seconds = 600
        self.webhook: dict[str, Any] = {}
        self.on_request: Callable[[Seen], None] = lambda _seen: None
        self.is_stuck = threading.Event()
        """Set once an upload that is never answered has begun."""
        self.holds_uploads = False
        self.cut_downloads = 0
        """How many downloads still break in the middle."""
        self.url = ""
        self.client_id = CLIENT_ID
        self.secret = SECRET
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=0.2)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _listen(self) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls).start()
        host = "localhost" if self._tls else "127.0.0.1"
        self.url = f"http{'s' if self._tls else ''}://{host}:{self._runner.addresses[0][1]}"

    def environment(self) -> dict[str, str]:
        return {
            "QUITTANCE_URL": self.url,
            "QUITTANCE_CLIENT_ID": self.client_id,
            "QUITTANCE_CLIENT_SECRET": self.secret,
        }

    def fail(self, method: str, path: str, *faults: Fault) -> None:
        self.faults[method, path].extend(faults)

    def of(self, method: str, path: str) -> list[Seen]:
        return [seen for seen in self.seen if (seen.method, seen.path) == (method, path)]

    def revoke_tokens(self) -> None:
        self.valid.clear()

    def _application(self) -> web.Application:
        application = web.Application(client_max_size=2**30, middlewares=[self._observe])
        application.add_routes(
            [
                web.post("/oauth/token", self._token),
                web.post("/v1/deposits", self._post_deposit),
                web.get("/v1/deposits/{id}", self._get_deposit),
                web.get("/v1/deposits/{id}/lines", self._get_lines),
                web.get("/v1/deposits/{id}/preview", self._get_preview),
                web.get("/v1/deposits/{id}/{file:.*[.](pdf|json|csv)}", self._get_file),
                web.post("/v1/deposits/{id}/{decision:release|cancel}", self._decide),
                web.get("/v1/invoices/{id}/print.pdf", self._get_file),
                web.post("/v1/invoices/{id}/withdraw", self._withdraw),
                web.get("/v1/collections", self._get_collections),
                web.post("/v1/collections/acknowledge", self._acknowledge),
                web.get("/v1/collections/totals", self._get_totals),
                web.get("/v1/paperless", self._get_paperless),
                web.route("*", "/v1/webhooks{rest:.*}", self._webhooks),
            ]
        )
        return application

    @web.middleware
    async def _observe(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if self.holds_uploads and request.path == "/v1/deposits":
            await request.content.readany()
            headers = {name.lower(): value for name, value in request.headers.items()}
            self._note(request, headers, b"")
            self.is_stuck.set()
            await asyncio.sleep(3600)
        queue = self.faults[request.method, request.path]
        fault = queue.popleft() if queue else None
        if fault is not None and fault.cut_after_bytes is not None:
            if fault.is_done_before_cut:
                await self._whole(request, handler)
            else:
                await request.content.read(fault.cut_after_bytes)
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if fault is not None:
            self._note(request, dict(request.headers), b"")
            return web.json_response(fault.body, status=fault.status, headers=fault.headers)
        return await self._whole(request, handler)

    async def _whole(self, request: web.Request, handler: Any) -> web.StreamResponse:
        seen = self._note(
            request,
            {name.lower(): value for name, value in request.headers.items()},
            await request.read(),
        )
        self.on_request(seen)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if request.path != "/oauth/token" and token not in self.valid:
            return _problem(401, "invalid-token", "Le jeton d’accès a expiré.")
        self.answers[request.method, request.path] += 1
        answer: web.StreamResponse = await handler(request)
        return answer

    def _note(self, request: web.Request, headers: dict[str, str], body: bytes) -> Seen:
        seen = Seen(
            method=request.method,
            path=request.path,
            query=dict(request.query),
            headers=headers,
            body=body,
        )
        self.seen.append(seen)
        return seen

    async def _token(self, request: web.Request) -> web.Response:
        basic = request.headers.get("Authorization", "").removeprefix("Basic ")
        halves = base64.b64decode(basic).decode().partition(":")
        if (unquote_plus(halves[0]), unquote_plus(halves[2])) != (self.client_id, self.secret):
            document = {"error": "invalid_client", "error_description": "wrong secret"}
            return web.json_response(document, status=401)
        assert (await request.post())["grant_type"] == "client_credentials"
        self.tokens += 1
        token = f"token-{self.tokens}"
        self.valid.add(token)
        return web.json_response(
            {
                "access_token": token,
                "token_type": "Bearer",
                "expires_in": self.lifetime_seconds,
                "scope": "deposits:write",
            }
        )

    async def _post_deposit(self, request: web.Request) -> web.Response:
        body = await request.read()
        key = request.headers.get("Idempotency-Key", "")
        if key in self.keys:
            deposit_id, content = self.keys[key]
            if content != body:
                return _problem(409, "idempotency-conflict", "Cette clé a servi autrement.")
            return web.json_response(self._now(deposit_id), status=202)
        deposit_id = f"d-{len(self.deposits) + 1}"
        lines = _read(body)
        rejected = sum(line["status"] == "rejected" for line in lines)
        self.keys[key] = deposit_id, body
        self.lines[deposit_id] = lines
        self.deposits[deposit_id] = {
            "deposit_id": deposit_id,
            "status": "received",
            "format": "json",
            "is_dry_run": request.query.get("dry_run") == "true",
            "size_bytes": len(body),
            "read_bytes": 0,
            "total": len(lines),
            "created": len(lines) - rejected,
            "unchanged": 0,
            "superseded": 0,
            "rejected": rejected,
            "amount_cents": sum(
                line["amount_cents"] for line in lines if line["status"] == "created"
            ),
            "publish": request.query.get("publish", "auto"),
            "release": "released" if "publish" not in request.query else "held",
            "steps": self.reading_steps,
        }
        return web.json_response(self._now(deposit_id), status=202)

    def _now(self, deposit_id: str) -> dict[str, Any]:
        """Return a deposit as it is, one step before what it will be at the next question."""
        deposit = self.deposits[deposit_id]
        shown = {name: value for name, value in deposit.items() if name != "steps"}
        if deposit["status"] == "received":
            deposit["status"] = "reading"
        elif deposit["status"] == "reading":
            deposit["steps"] -= 1
            if deposit["steps"] < 0:
                deposit["read_bytes"] = deposit["size_bytes"]
                deposit["status"] = "failed" if self.failure else "done"
                if self.failure:
                    deposit["problem"] = self.failure
                return self._now(deposit_id)
        if shown["status"] in ("received", "reading"):
            shown |= {"created": 0, "rejected": 0, "amount_cents": 0, "total": 0}
        return shown

    async def _get_deposit(self, request: web.Request) -> web.Response:
        if request.match_info["id"] not in self.deposits:
            return _problem(404, "unknown-deposit", "Ce dépôt n’est pas connu.")
        return web.json_response(self._now(request.match_info["id"]))

    async def _get_lines(self, request: web.Request) -> web.Response:
        after = int(request.query.get("after", "-1"))
        wanted = request.query.get("status")
        found = [
            {name: value for name, value in line.items() if name != "amount_cents"}
            for line in self.lines[request.match_info["id"]]
            if line["position"] > after and wanted in (None, line["status"])
        ]
        page = found[: self.lines_per_page]
        following = page[-1]["position"] if len(found) > len(page) else None
        return web.json_response({"lines": page, "next": following})

    async def _get_preview(self, request: web.Request) -> web.Response:
        lines = self.lines[request.match_info["id"]]
        total = {"regie": "CANTINE", "count": len(lines), "amount_cents": 8200}
        drawn = [
            {"position": line["position"], "invoice": line | {"payer": {"name": "C. Martin"}}}
            for line in lines[:5]
        ]
        return web.json_response({"totals": [total], "lines": drawn})

    async def _get_file(self, request: web.Request) -> web.StreamResponse:
        if self.cut_downloads:
            self.cut_downloads -= 1
            half = web.StreamResponse(headers={"Content-Length": str(len(PDF))})
            await half.prepare(request)
            await half.write(PDF[: len(PDF) // 2])
            assert request.transport is not None
            request.transport.abort()
            return half
        if request.path.endswith(".pdf"):
            return web.Response(body=PDF, content_type="application/pdf")
        return web.Response(text=f"index of {request.path}")

    async def _decide(self, request: web.Request) -> web.Response:
        deposit = self.deposits[request.match_info["id"]]
        deposit["release"] = {"release": "released", "cancel": "cancelled"}[
            request.match_info["decision"]
        ]
        return web.json_response(self._now(request.match_info["id"]))

    async def _withdraw(self, request: web.Request) -> web.Response:
        reason = (await request.json())["reason"]
        invoice_id = request.match_info["id"]
        return web.json_response({"invoice_id": invoice_id, "state": "withdrawn", "reason": reason})

    async def _get_collections(self, request: web.Request) -> web.Response:
        after = int(request.query.get("after", self.acknowledged))
        found = [item for item in self.items if item["position"] > after]
        items = found[: self.items_per_page]
        return web.json_response(
            {
                "items": items,
                "next": str(items[-1]["position"] if items else after),
                "has_more": len(found) > len(items),
            }
        )

    async def _acknowledge(self, request: web.Request) -> web.Response:
        self.acknowledged = (await request.json())["cursor"]
        return web.Response(status=204)

    async def _get_totals(self, request: web.Request) -> web.Response:
        row = {
            "day": request.query["from"],
            "regie": "CANTINE",
            "digest": "e3b0",
            "is_closed": True,
        }
        row |= {"payment_count": 3, "payment_cents": 6150, "reversal_count": 1}
        row |= {"reversal_cents": 1000, "net_cents": 5150}
        return web.json_response({"items": [row], "closed_through": "2026-11-23"})

    async def _get_paperless(self, request: web.Request) -> web.Response:
        after = request.query.get("after", "")
        found = [payer for payer in self.paperless if payer["reference"] > after]
        payers = found[: self.items_per_page]
        following = payers[-1]["reference"] if len(found) > len(payers) else None
        return web.json_response({"payers": payers, "next": following})

    async def _webhooks(self, request: web.Request) -> web.Response:
        action = (request.method, request.match_info["rest"])
        if action == ("PUT", ""):
            is_first = not self.webhook
            self.webhook = await request.json()
            told = {"secret": "whsec_b25jZQ=="} if is_first else {}
            return web.json_response(self.webhook | told, status=201 if is_first else 200)
        if action == ("DELETE", ""):
            self.webhook = {}
            return web.Response(status=204)
        if action == ("POST", "/secret"):
            return web.json_response({"secret": "whsec_dHdpY2U="})
        if action == ("GET", ""):
            return web.json_response(self.webhook)
        return web.json_response({"deliveries": [{"delivery_id": "w-1", "state": "delivered"}]})


def an_item(position: int, **changes: Any) -> dict[str, Any]:
    return {
        "event_id": f"e-{position}",
        "position": position,
        "kind": "captured",
        "payment_id": f"p-{position}",
        "invoice_id": f"i-{position}",
        "regie": "CANTINE",
        "number": f"F-{position}",
        "amount_cents": 1000 * position,
        "means": "card",
        "provider": "lyra",
        "provider_reference": f"r-{position}",
        "occurred_at": "2026-11-24T12:00:00+01:00",
        **changes,
    }


def invoices(*amounts: int) -> bytes:
    """Return a JSON deposit with one invoice for each amount, named F-0, F-1 and so on."""
    return json.dumps(
        {
            "invoices": [
                {"regie": "CANTINE", "number": f"F-{position}", "amount_cents": amount}
                for position, amount in enumerate(amounts)
            ]
        }
    ).encode()


def _read(body: bytes) -> list[dict[str, Any]]:
    try:
        found = json.loads(body)["invoices"]
    except ValueError:
        found = [{"regie": "CANTINE", "number": "F-0", "amount_cents": 4100}]
    lines = []
    for position, invoice in enumerate(found):
        line = {"position": position, **invoice, "invoice_id": f"i-{position}"}
        if invoice["amount_cents"] > 0:
            line |= {"status": "created", "version": 1}
        else:
            line |= {
                "status": "rejected",
                "code": "invalid_amount",
                "pointer": f"/invoices/{position}/amount_cents",
                "message": "Le montant doit être supérieur à zéro.",
            }
        lines.append(line)
    return lines


def _problem(status: int, code: str, detail: str) -> web.Response:
    document = {"type": f"urn:quittance:problem:{code}", "status": status, "title": code}
    document |= {"code": code, "detail": detail}
    return web.json_response(document, status=status, content_type="application/problem+json")
