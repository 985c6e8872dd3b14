"""The merchant's form: which fields Lyra demands, in what shape, and the code of each error.

Field codes and formats: Lyra form payment V2 data dictionary; window of `vads_trans_date` and
uniqueness of `vads_trans_id`: its error pages 03 and 04.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

from simulators.card_provider.signature import FIELD_PREFIX, is_signed
from simulators.card_provider.sites import Site, is_web_address

MAX_FIELDS = 200
# Lyra accepts 30 minutes late to 1 h 30 early and warns by mail up to 60 minutes and 2 h 30;
# beyond that the form is refused.
OLDEST = timedelta(minutes=60)
FARTHEST_AHEAD = timedelta(minutes=150)


class FormError(Exception):
    """The form is refused: `code` is Lyra's number of the field, `reason` a French sentence."""

    def __init__(self, *, field: str, reason: str) -> None:
        """Refuse `field`."""
        self.field = field
        self.reason = reason
        self.code = _code_of(field)
        super().__init__(f"{self.code} {field}: {reason}")


@dataclass(frozen=True, kw_only=True)
class FieldRule:
    """The shape of one field: Lyra's code, a pattern for the whole value, and whether needed."""

    code: str
    pattern: str
    is_required: bool = False


def _text(code: str, longest: int) -> FieldRule:
    # Lyra takes no angle brackets in free text, and no line breaks.
    return FieldRule(code=code, pattern=rf"[^<>\r\n]{{0,{longest}}}")


FIELD_RULES: Mapping[str, FieldRule] = {
    "signature": FieldRule(code="00", pattern=r"[A-Za-z0-9+/=]{40,44}", is_required=True),
    "vads_version": FieldRule(code="01", pattern=r"V2", is_required=True),
    "vads_site_id": FieldRule(code="02", pattern=r"[0-9]{8}", is_required=True),
    "vads_trans_id": FieldRule(code="03", pattern=r"[0-8A-Za-z][0-9A-Za-z]{5}", is_required=True),
    "vads_trans_date": FieldRule(code="04", pattern=r"[0-9]{14}", is_required=True),
    "vads_validation_mode": FieldRule(code="05", pattern=r"[01]?"),
    "vads_capture_delay": FieldRule(code="06", pattern=r"[0-9]{0,3}"),
    "vads_payment_config": FieldRule(
        code="07", pattern=r"SINGLE|MULTI(_EXT)?:[0-9a-z=;]+", is_required=True
    ),
    "vads_payment_cards": FieldRule(code="08", pattern=r"[A-Za-z0-9_;-]{0,127}"),
    "vads_amount": FieldRule(code="09", pattern=r"[1-9][0-9]{0,11}", is_required=True),
    "vads_currency": FieldRule(code="10", pattern=r"978", is_required=True),
    "vads_ctx_mode": FieldRule(code="11", pattern=r"TEST|PRODUCTION", is_required=True),
    "vads_language": FieldRule(code="12", pattern=r"([a-z]{2})?"),
    "vads_order_id": FieldRule(code="13", pattern=r"[A-Za-z0-9_-]{0,32}"),
    "vads_order_info": _text("14", 255),
    "vads_order_info2": _text("14", 255),
    "vads_order_info3": _text("14", 255),
    "vads_cust_email": FieldRule(code="15", pattern=r"([^@\s<>]+@[^@\s<>]+)?"),
    "vads_cust_id": _text("16", 63),
    "vads_cust_title": _text("17", 63),
    "vads_cust_name": _text("18", 127),
    "vads_cust_address": _text("19", 255),
    "vads_cust_zip": _text("20", 63),
    "vads_cust_city": _text("21", 63),
    "vads_cust_country": FieldRule(code="22", pattern=r"([A-Z]{2})?"),
    "vads_cust_phone": _text("23", 63),
    "vads_contrib": _text("31", 255),
    "vads_theme_config": _text("32", 255),
    "vads_page_action": FieldRule(code="46", pattern=r"PAYMENT", is_required=True),
    "vads_action_mode": FieldRule(code="47", pattern=r"INTERACTIVE", is_required=True),
    "vads_return_mode": FieldRule(code="48", pattern=r"(GET|POST|NONE)?"),
    "vads_cust_first_name": _text("104", 63),
    "vads_cust_last_name": _text("104", 63),
}
# The code of `vads_url_check` is not published; the page then names the field only.
URL_FIELDS: Mapping[str, str] = {
    "vads_url_success": "24",
    "vads_url_refused": "25",
    "vads_url_referral": "26",
    "vads_url_cancel": "27",
    "vads_url_return": "28",
    "vads_url_error": "29",
    "vads_url_check": "",
}
LONGEST_URL = 1024
LONGEST_EMAIL = 150


def _code_of(field: str) -> str:
    rule = FIELD_RULES.get(field)
    return rule.code if rule else URL_FIELDS.get(field, "")


@dataclass(frozen=True, kw_only=True)
class PaymentForm:
    """A form that passed every check: the payment may be offered to the payer."""

    site: Site
    key: str
    fields: Mapping[str, str]
    """Every field received, the signature left out."""

    def __getitem__(self, name: str) -> str:
        """Return a field; an optional one that was not sent is empty, as Lyra treats it."""
        return self.fields.get(name, "")

    @property
    def amount_cents(self) -> int:
        """The sum to take."""
        return int(self.fields["vads_amount"])


def read_fields(body: bytes) -> dict[str, str]:
    """Decode an `application/x-www-form-urlencoded` body in UTF-8.

    Raises:
        FormError: bytes that are not UTF-8 (Lyra sees a wrong signature), too many fields, or
            the same field twice.
    """
    try:
        pairs = parse_qsl(
            body.decode("utf-8"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError as error:
        reason = "Le formulaire n’est pas encodé en UTF-8 ou compte trop de champs."
        raise FormError(field="signature", reason=reason) from error
    fields: dict[str, str] = {}
    for name, value in pairs:
        if name in fields:
            raise FormError(field=name, reason="Le champ est présent deux fois.")
        fields[name] = value
    return fields


def check_form(fields: Mapping[str, str], sites: Mapping[str, Site], now: datetime) -> PaymentForm:
    """Check the presence, the shop, the signature, then the shape of every field.

    Raises:
        FormError: the first field found wrong.
    """
    for name, rule in FIELD_RULES.items():
        if rule.is_required and not fields.get(name):
            raise FormError(field=name, reason="Le champ est obligatoire.")
    site = sites.get(fields["vads_site_id"])
    if site is None:
        raise FormError(field="vads_site_id", reason="La boutique n’existe pas.")
    _check_shape("vads_ctx_mode", fields)
    key = site.key_for(fields["vads_ctx_mode"])
    if key is None:
        raise FormError(field="vads_ctx_mode", reason="La boutique n’est pas en production.")
    if not is_signed(fields, key, fields["signature"], site.algorithm):
        raise FormError(
            field="signature", reason="La signature ne correspond pas aux champs reçus."
        )
    for name in FIELD_RULES:
        if name in fields:
            _check_shape(name, fields)
    _check_addresses(fields)
    if len(fields.get("vads_cust_email", "")) > LONGEST_EMAIL:
        raise FormError(field="vads_cust_email", reason="L’adresse est trop longue.")
    if fields["vads_payment_config"] != "SINGLE":
        raise FormError(
            field="vads_payment_config", reason="L’option paiement en N fois n’est pas souscrite."
        )
    _check_date(fields["vads_trans_date"], now)
    kept = {name: value for name, value in fields.items() if name.startswith(FIELD_PREFIX)}
    return PaymentForm(site=site, key=key, fields=kept)


def _check_shape(name: str, fields: Mapping[str, str]) -> None:
    if re.fullmatch(FIELD_RULES[name].pattern, fields[name]) is None:
        raise FormError(field=name, reason="Le format du champ est incorrect.")


def _check_addresses(fields: Mapping[str, str]) -> None:
    for name in URL_FIELDS:
        address = fields.get(name, "")
        if address and (len(address) > LONGEST_URL or not is_web_address(address)):
            raise FormError(field=name, reason="L’adresse n’est pas valide.")


def _check_date(text: str, now: datetime) -> None:
    try:
        sent_at = datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError as error:
        raise FormError(field="vads_trans_date", reason="La date n’existe pas.") from error
    if not now - OLDEST <= sent_at <= now + FARTHEST_AHEAD:
        reason = "La date est trop éloignée de l’heure UTC de la plateforme."
        raise FormError(field="vads_trans_date", reason=reason)
