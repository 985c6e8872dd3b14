"""The SOAP door: three operations at `/tpa/services/securite`, and their description."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from simulators.clock import MovableClock
from simulators.faults import FaultBoard
from simulators.pages import page
from simulators.payfip import contract, soap
from simulators.payfip.clients import Client
from simulators.payfip.ledger import Ledger
from simulators.payfip.notices import transaction_time
from simulators.payfip.refusals import FaultKind, RefusalError
from simulators.payfip.requests import Door, DoorRules, check_request, find_client

SERVICE_PATH = "/tpa/services/securite"
EXER_DIGITS_TOLD = 2
"""Recordings tell `20` where `2020` was asked."""

Fields = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Service:
    """The web service, around one ledger."""

    ledger: Ledger
    clients: Mapping[str, Client]
    faults: FaultBoard
    clock: MovableClock
    rules: DoorRules

    async def describe(self, request: web.Request) -> web.Response:
        """Serve the WSDL at `?wsdl` and its schemas at `?xsd=1` to `3`."""
        address = f"{request.scheme}://{request.host}{SERVICE_PATH}"
        asked = {name.lower(): value for name, value in request.query.items()}
        if "wsdl" in asked:
            return web.Response(text=contract.description(address), content_type=soap.CONTENT_TYPE)
        text = contract.schema(asked.get("xsd", ""), address)
        if text is None:
            return page("payfip/service.html", status=404, address=address)
        return web.Response(text=text, content_type=soap.CONTENT_TYPE)

    async def answer(self, request: web.Request) -> web.Response:
        """Take one call; every fault is answered by 500, as SOAP 1.1 over HTTP has it."""
        if request.content_type != soap.CONTENT_TYPE:
            # JAX-WS says so, and reads nothing.
            return web.Response(status=415, text="Unsupported Content-Type")
        try:
            call = soap.read_call(await request.read())
            operation = self._operations().get(call.operation)
            if operation is None:
                message = f"Cannot find dispatch method for {{{soap.SERVICE}}}{call.operation}"
                raise soap.MalformedCallError(message)  # noqa: TRY301 - the same fault as above
            self._misbehave()
            told = operation(call.fields)
        except soap.MalformedCallError as error:
            return _xml(soap.malformed(error), status=500)
        except RefusalError as error:
            return _xml(soap.refusal(error), status=500)
        is_created = call.operation == "creerPaiementSecurise"
        if is_created and self.faults.take("timeout_after_create"):
            self._note(told["idOp"], "timeout_after_create")
            # The idOp exists; the connection dies before the merchant hears of it.
            if request.transport is not None:
                request.transport.abort()
        return _xml(soap.answer(call.operation, told))

    def _operations(self) -> Mapping[str, Callable[[Fields], Fields]]:
        return {
            "creerPaiementSecurise": self._create,
            "recupererDetailPaiementSecurise": self._tell_payment,
            "recupererDetailClient": self._tell_client,
        }

    def _misbehave(self) -> None:
        if self.faults.take("soap_fault_999"):
            raise RefusalError("999", FaultKind.DYSFUNCTION)
        if self.faults.take("soap_unavailable"):
            raise RefusalError("999", FaultKind.UNAVAILABLE)

    def _note(self, idop: str, fault: str) -> None:
        payment = self.ledger.find(idop)
        if payment is not None:
            payment.faults.append(fault)

    def _create(self, fields: Fields) -> Fields:
        asked = check_request(fields, self.clients, Door.WEB_SERVICE, self.rules)
        return {"idOp": self.ledger.create(asked, self.clock.now()).idop}

    def _tell_client(self, fields: Fields) -> Fields:
        client = find_client(fields.get("numCli", ""), self.clients)
        return {
            "libelleN1": client.label(1),
            "libelleN2": client.label(2),
            "libelleN3": client.label(3),
            "numcli": client.numcli,
        }

    def _tell_payment(self, fields: Fields) -> Fields:
        payment, result = self.ledger.detail(fields.get("idOp", ""), self.clock.now())
        asked = payment.request
        told = {
            **transaction_time(result),
            "exer": asked.exer[:EXER_DIGITS_TOLD],
            "idOp": payment.idop,
            "mel": asked.mel,
            "montant": asked.montant,
            "numcli": asked.client.numcli,
            "objet": asked.objet,
            "refdet": asked.refdet,
            "resultrans": result.code.value,
            "saisie": asked.saisie,
        }
        # Absent, not empty, when nothing was taken; an object that was not sent is absent too.
        optional = {"numauto": result.numauto, "objet": asked.objet}
        return {name: value for name, value in (told | optional).items() if value}


def _xml(body: bytes, status: int = 200) -> web.Response:
    return web.Response(body=body, status=status, content_type=soap.CONTENT_TYPE, charset="utf-8")
