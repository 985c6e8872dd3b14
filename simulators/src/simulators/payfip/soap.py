"""SOAP 1.1, document/literal, as the DGFiP's JAX-WS server speaks it: read a call, write an answer.

Children of `arg0` and `return` stand in no namespace, answers in the alphabetical order of the
schemas. An element that is not known is left aside, so `idop` in place of `idOp` is no idOp at all.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from lxml import etree

from simulators.payfip.refusals import SEVERITY, RefusalError

ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
SERVICE = (
    "http://securite.service.tpa.cp.finances.gouv.fr/services/mas_securite/"
    "contrat_paiement_securise/PaiementSecuriseService"
)
CONTENT_TYPE = "text/xml"
EXCEPTIONS = "fr.gouv.finances.cp.tpa.webservice.exceptions"


class MalformedCallError(Exception):
    """The body is no call of this service: not XML, not SOAP, or an unknown operation."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """An operation and the fields of its argument; a field that is not sent is absent."""

    operation: str
    fields: Mapping[str, str]


def read_call(body: bytes) -> Call:
    """Read a SOAP request.

    Raises:
        MalformedCallError: not well-formed, with a DOCTYPE, or not a SOAP 1.1 call.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        message = f"Couldn't create SOAP message due to exception: {error.msg}"
        raise MalformedCallError(message) from error
    if root.getroottree().docinfo.internalDTD is not None:
        message = "Couldn't create SOAP message due to exception: DOCTYPE is not allowed"
        raise MalformedCallError(message)
    operations = root.findall(f"{{{ENVELOPE}}}Body/*")
    if root.tag != f"{{{ENVELOPE}}}Envelope" or len(operations) != 1:
        message = "The body of a SOAP 1.1 envelope with one operation was expected"
        raise MalformedCallError(message)
    name = etree.QName(operations[0])
    if name.namespace != SERVICE:
        message = f"Cannot find dispatch method for {name.text}"
        raise MalformedCallError(message)
    argument = operations[0].find("arg0")
    children = () if argument is None else argument.iterchildren(etree.Element)
    return Call(
        operation=name.localname,
        # All the text, whatever comments split it into: 1<!-- -->00 is 100.
        fields={str(child.tag): str(child.xpath("string()")) for child in children},
    )


def answer(operation: str, fields: Mapping[str, str]) -> bytes:
    """Write the answer of `operation`; `fields` are sorted as the schemas have them."""
    body, envelope = _envelope()
    response = etree.SubElement(body, f"{{{SERVICE}}}{operation}Response", nsmap={"ns2": SERVICE})
    returned = etree.SubElement(response, "return")
    for name in sorted(fields):
        etree.SubElement(returned, name).text = fields[name]
    return _written(envelope)


def refusal(error: RefusalError) -> bytes:
    """Write a fault of the service's description, with its code and its label."""
    body, envelope = _envelope()
    fault = _fault(body, "S:Server", f"{EXCEPTIONS}.{error.kind.value}")
    detail = etree.SubElement(fault, "detail")
    told = etree.SubElement(detail, f"{{{SERVICE}}}{error.kind.value}", nsmap={"ns1": SERVICE})
    for name, text in (("code", error.code), ("descriptif", ""), ("libelle", error.label)):
        etree.SubElement(told, name).text = text
    etree.SubElement(told, "severite").text = str(SEVERITY)
    return _written(envelope)


def malformed(error: MalformedCallError) -> bytes:
    """Write the fault of a call that no operation could take."""
    body, envelope = _envelope()
    _fault(body, "S:Client", str(error))
    return _written(envelope)


def _envelope() -> tuple[etree._Element, etree._Element]:
    envelope = etree.Element(f"{{{ENVELOPE}}}Envelope", nsmap={"S": ENVELOPE})
    return etree.SubElement(envelope, f"{{{ENVELOPE}}}Body"), envelope


def _fault(body: etree._Element, code: str, text: str) -> etree._Element:
    fault = etree.SubElement(body, f"{{{ENVELOPE}}}Fault")
    etree.SubElement(fault, "faultcode").text = code
    etree.SubElement(fault, "faultstring").text = text
    return fault


def _written(envelope: etree._Element) -> bytes:
    return etree.tostring(envelope, xml_declaration=True, encoding="UTF-8")
