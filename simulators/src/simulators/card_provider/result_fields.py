"""The `vads_*` fields that tell a merchant how a payment ended, in the notice and the return.

Names and formats: Lyra form payment V2, "Processing the response data".
"""

import base64
import hashlib
import secrets
from datetime import timedelta

from simulators.card_provider.ledger import Transaction, TransactionStatus
from simulators.card_provider.signature import sign

# What describes the request and comes back as it was sent; addresses and page settings do not.
ECHOED_PREFIXES = ("vads_cust_", "vads_order_", "vads_ext_info_", "vads_ship_to_")
ECHOED_FIELDS = (
    "vads_action_mode",
    "vads_amount",
    "vads_contrib",
    "vads_ctx_mode",
    "vads_currency",
    "vads_language",
    "vads_page_action",
    "vads_payment_config",
    "vads_site_id",
    "vads_trans_date",
    "vads_trans_id",
    "vads_user_info",
    "vads_version",
)
RESULTS = {
    TransactionStatus.AUTHORISED: "00",
    TransactionStatus.AUTHORISED_TO_VALIDATE: "00",
    TransactionStatus.CAPTURED: "00",
    TransactionStatus.CANCELLED: "00",
    TransactionStatus.REFUSED: "05",
    TransactionStatus.ABANDONED: "17",
}


def return_fields(transaction: Transaction) -> dict[str, str]:
    """Return the signed fields that the browser carries back to the merchant."""
    return _signed(transaction, _result(transaction))


def notice_fields(transaction: Transaction, source: str) -> dict[str, str]:
    """Return the signed fields of a notice.

    `source` is `PAY`, `MERCH_BO` for an operation of the back office, or `BATCH` for a capture.
    A notice has two fields more than the return: where it comes from, and a key of its own.
    """
    return _notice(transaction, _result(transaction), source)


def again(transaction: Transaction, fields: dict[str, str]) -> dict[str, str]:
    """Return a notice for one more try: what it said before, marked `RETRY`.

    It tells how things stood, though the transaction may have gone on since.
    """
    kept = {name: value for name, value in fields.items() if name != "signature"}
    return _notice(transaction, kept, "RETRY")


def _notice(transaction: Transaction, fields: dict[str, str], source: str) -> dict[str, str]:
    unique = hashlib.sha256(secrets.token_bytes(32)).digest()
    key = base64.urlsafe_b64encode(unique).decode("ascii").replace("=", "-")
    return _signed(transaction, fields | {"vads_url_check_src": source, "vads_hash": key})


def _signed(transaction: Transaction, fields: dict[str, str]) -> dict[str, str]:
    form = transaction.form
    fields["signature"] = sign(fields, form.key, form.site.algorithm)
    return fields


def _result(transaction: Transaction) -> dict[str, str]:
    form = transaction.form
    fields = {name: form[name] for name in ECHOED_FIELDS if name in form.fields}
    fields |= {
        name: value for name, value in form.fields.items() if name.startswith(ECHOED_PREFIXES)
    }
    fields |= {
        "vads_amount": str(transaction.amount_cents),
        "vads_auth_result": transaction.auth_result,
        "vads_capture_delay": form["vads_capture_delay"] or "0",
        "vads_effective_creation_date": transaction.created_at.strftime("%Y%m%d%H%M%S"),
        "vads_extra_result": "",
        "vads_operation_type": _operation_type(transaction),
        "vads_payment_src": "EC",
        "vads_pays_ip": "FR",
        "vads_result": RESULTS[transaction.status],
        "vads_sequence_number": "1",
        "vads_trans_date": transaction.trans_date,
        "vads_trans_id": transaction.trans_id,
        "vads_trans_status": transaction.status.value,
        "vads_trans_uuid": transaction.trans_uuid,
        "vads_validation_mode": form["vads_validation_mode"] or "0",
    }
    return fields | _card_result(transaction)


def _operation_type(transaction: Transaction) -> str:
    # Lyra's dictionary: not told of a payment that was abandoned, which is no operation.
    is_abandoned = transaction.status is TransactionStatus.ABANDONED
    return "" if is_abandoned else transaction.operation.value


def _card_result(transaction: Transaction) -> dict[str, str]:
    """Return what the card and its bank add; empty values when no card was typed."""
    card = transaction.card
    if card is None:
        names = ("auth_mode", "auth_number", "card_brand", "card_number", "warranty_result")
        return {f"vads_{name}": "" for name in names}
    fields = {
        "vads_auth_mode": "FULL",
        "vads_auth_number": transaction.auth_number,
        "vads_brand_management": "",
        "vads_card_brand": card.brand,
        "vads_card_country": "FR",
        "vads_card_number": card.masked_number,
        "vads_contract_used": transaction.form.site.site_id[:7],
        "vads_expiry_month": str(card.expiry_month),
        "vads_expiry_year": str(card.expiry_year),
        "vads_payment_certificate": transaction.certificate,
        "vads_threeds_enrolled": "Y",
        "vads_threeds_error_code": "",
        "vads_threeds_exit_status": "10",
        "vads_threeds_sign_valid": "1",
        "vads_threeds_status": "Y",
        "vads_warranty_result": "YES" if transaction.is_accepted else "",
    }
    if transaction.is_accepted:
        delay = timedelta(days=int(transaction.form["vads_capture_delay"] or "0"))
        fields |= {
            "vads_effective_amount": str(transaction.amount_cents),
            "vads_effective_currency": transaction.form["vads_currency"],
            "vads_presentation_date": (transaction.created_at + delay).strftime("%Y%m%d%H%M%S"),
        }
    return fields
