"""A stand-in of PayFiP's web service: SOAP 1.1 written by hand from the WSDL, on this machine."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.unit.payment.provider_builders import CALLS_AT_ONCE, NUMCLI, ORDER_ID

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
SERVICE = (
    "http://securite.service.tpa.cp.finances.gouv.fr/services/mas_securite/"
    "contrat_paiement_securise/PaiementSecuriseService"
)
EXCEPTIONS = "fr.gouv.finances.cp.tpa.webservice.exceptions"
IDOP = "cc0cb210-1cd4-11ea-8cca-0213ad91a103"


class Fault(Exception):  # noqa: N818 - the protocol's own word
    """What the service answers instead of a result."""

    def __init__(self, kind: str, code: str) -> None:
        self.kind = kind
        self.code = code


def a_detail(**changes: str | None) -> dict[str, str | None]:
    """Return what PayFiP tells of an operation that was paid by card."""
    detail: dict[str, str | None] = {
        "dattrans": "24112026",
        "exer": "20",
        "heurtrans": "1404",
        "idOp": IDOP,
        "mel": "camille.martin@exemple.test",
        "montant": "4100",
        "numauto": "112233",
        "numcli": NUMCLI,
        "objet": "Repas d octobre",
        "refdet": ORDER_ID,
        "resultrans": "P",
        "saisie": "T",
    }
    return detail | changes


class StandIn:
    """Answers as it is told, and keeps what it was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.answer: dict[str, str | None] | Fault | web.Response = {"idOp": IDOP}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.is_busy = asyncio.Event()

    async def serve(self, request: web.Request) -> web.Response:
        body = ET.fromstring(await request.read()).find(f"{{{SOAP}}}Body")  # noqa: S314 - ours
        assert body is not None
        [call] = body
        [arguments] = call
        assert arguments.tag == "arg0"
        namespace, _, operation = call.tag.removeprefix("{").partition("}")
        assert namespace == SERVICE
        # In the order of the schema, and without a namespace of their own.
        names = [child.tag for child in arguments]
        assert names == sorted(names)
        self.asked.append((operation, {child.tag: child.text or "" for child in arguments}))
        if len(self.asked) == CALLS_AT_ONCE:
            self.is_busy.set()
        await self.is_open.wait()
        if isinstance(self.answer, web.Response):
            return web.Response(
                body=self.answer.body, status=self.answer.status, content_type="text/xml"
            )
        if isinstance(self.answer, Fault):
            return web.Response(
                text=_fault(self.answer), status=500, content_type="text/xml", charset="utf-8"
            )
        return web.Response(
            text=_envelope(_result(operation, self.answer)), content_type="text/xml"
        )


def _envelope(content: str) -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<S:Envelope xmlns:S="{SOAP}"><S:Body>{content}</S:Body></S:Envelope>'
    )


def _children(fields: dict[str, str | None]) -> str:
    told = ((name, value) for name, value in fields.items() if value is not None)
    return "".join(f"<{name}>{escape(value)}</{name}>" for name, value in told)


def _result(operation: str, fields: dict[str, str | None]) -> str:
    result = f"<return>{_children(fields)}</return>" if fields else ""
    return f'<n:{operation}Response xmlns:n="{SERVICE}">{result}</n:{operation}Response>'


def _fault(fault: Fault) -> str:
    detail = _children(
        {
            "code": fault.code or None,
            "descriptif": "descriptif",
            "libelle": "libellé",
            "severite": "2",
        }
    )
    return _envelope(
        f"<S:Fault><faultcode>S:Server</faultcode>"
        f"<faultstring>{EXCEPTIONS}.{fault.kind}</faultstring>"
        f'<detail><n:{fault.kind} xmlns:n="{SERVICE}">{detail}</n:{fault.kind}></detail></S:Fault>'
    )


@asynccontextmanager
async def open_payfip() -> AsyncIterator[StandIn]:
    """Open a stand-in for as long as the context lasts."""
    stand_in = StandIn()
    application = web.Application()
    application.router.add_post("/tpa/services/securite", stand_in.serve)
    async with TestServer(application) as server:
        stand_in.url = str(server.make_url("/tpa/services/securite"))
        yield stand_in
