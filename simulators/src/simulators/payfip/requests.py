"""What a merchant asks: which fields PayFiP demands, in what shape, and the code of each error.

Shapes: eopayment's `payfip_ws` and `tipi` backends, and recordings of the real service, which
looks at the e-mail address before anything else.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from simulators.payfip.clients import Client
from simulators.payfip.refusals import RefusalError

MINIMUM_CENTS = 100
EMAIL_LENGTHS = range(6, 81)
LONGEST_URL = 250


class Door(StrEnum):
    """The two ways in."""

    WEB_SERVICE = "web_service"
    FORM = "form"


@dataclass(frozen=True, kw_only=True)
class DoorRules:
    """What differs between the web service and the form that the payer's browser brings."""

    entries: str
    """`saisie`: T test, X activation, then the letters of production."""
    maximum_cents: int


WEB_SERVICE_MAXIMUM_CENTS = 10_000_000
FORM_MAXIMUM_CENTS = 999_999
LIVE_ENTRIES = frozenset("WAM")


@dataclass(frozen=True, kw_only=True)
class PaymentRequest:
    """A request that passed every check: the payment may be offered to the payer."""

    door: Door
    client: Client
    exer: str
    refdet: str
    objet: str
    montant: str
    mel: str
    saisie: str
    notice_url: str
    """`urlnotif` of the web service, `urlcl` of the form."""
    return_url: str
    """`urlredirect`; empty in form mode, which knows no way back."""

    @property
    def amount_cents(self) -> int:
        """The sum to take."""
        return int(self.montant)

    @property
    def debt(self) -> tuple[str, str, str]:
        """What is paid: two requests for the same debt are two attempts at it."""
        return (self.client.numcli, self.exer, self.refdet)


def check_request(
    fields: Mapping[str, str], clients: Mapping[str, Client], door: Door, rules: DoorRules
) -> PaymentRequest:
    """Check every field, the e-mail address first.

    Raises:
        RefusalError: the first field found wrong.
    """
    mel = fields.get("mel", "")
    _refuse(not mel, "A1")
    _refuse("@" not in mel or len(mel) not in EMAIL_LENGTHS, "A2")
    saisie = fields.get("saisie", "")
    _refuse(len(saisie) != 1 or saisie not in rules.entries, "S1")
    client = find_client(fields.get("numcli", ""), clients)
    _refuse(saisie in LIVE_ENTRIES and not client.is_live, "T4")
    _check_debt(fields, door)
    montant = fields.get("montant", "")
    _refuse(re.fullmatch(r"[0-9]{1,11}", montant) is None, "M1")
    _refuse(int(montant) < MINIMUM_CENTS, "M3")
    _refuse(int(montant) > rules.maximum_cents, "M5")
    notice_field, return_field = _ADDRESS_FIELDS[door]
    notice_url, return_url = fields.get(notice_field, ""), fields.get(return_field, "")
    # The form may go without an address; then nobody is told.
    _refuse(not _is_address(notice_url, is_needed=door is Door.WEB_SERVICE), "N1")
    _refuse(not _is_address(return_url, is_needed=door is Door.WEB_SERVICE), "D1")
    return PaymentRequest(
        door=door,
        client=client,
        exer=fields.get("exer", ""),
        refdet=fields["refdet"],
        objet=fields.get("objet", ""),
        montant=montant,
        mel=mel,
        saisie=saisie,
        notice_url=notice_url,
        return_url=return_url,
    )


_ADDRESS_FIELDS = {Door.WEB_SERVICE: ("urlnotif", "urlredirect"), Door.FORM: ("urlcl", "")}


def find_client(numcli: str, clients: Mapping[str, Client]) -> Client:
    """Return the client of that number.

    Raises:
        RefusalError: T1, it is no number of a client; T2, no client has it.
    """
    _refuse(re.fullmatch(r"[0-9]{6}", numcli) is None, "T1")
    client = clients.get(numcli)
    if client is None:
        raise RefusalError("T2")
    return client


def _check_debt(fields: Mapping[str, str], door: Door) -> None:
    exer, refdet = fields.get("exer", ""), fields.get("refdet", "")
    # In form mode a régie's debt may come without a year.
    _refuse(not exer and door is Door.WEB_SERVICE, "E1")
    _refuse(bool(exer) and re.fullmatch(r"[0-9]{4}", exer) is None, "E3")
    _refuse(not refdet, "R1")
    _refuse(re.fullmatch(r"[A-Za-z0-9]{6,30}", refdet) is None, "R3")
    _refuse(re.fullmatch(r"[A-Za-z0-9 ]{0,100}", fields.get("objet", "")) is None, "O1")


def _is_address(text: str, *, is_needed: bool) -> bool:
    if not text:
        return not is_needed
    try:
        parts = urlsplit(text)
        is_web = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return is_web and len(text) < LONGEST_URL


def _refuse(is_wrong: bool, code: str) -> None:  # noqa: FBT001 - read as "refuse if … with code"
    if is_wrong:
        raise RefusalError(code)
