"""The invoice as we set it when the biller sent data only."""

from datetime import date

import msgspec

from publication.adapters.qr import QrCode
from publication.adapters.typesetting import ACCESSIBLE, typeset
from shared.events import InvoiceGenerated
from shared.money import format_euros

MONTHS = (
    "janvier",
    "février",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
)


def render(invoice: InvoiceGenerated, code: QrCode) -> bytes:
    """Return a tagged PDF of the invoice with its code, fit for a windowed envelope."""
    is_payable = invoice.kind == "invoice"
    label = "Facture" if is_payable else "Avoir"
    view = {
        "title": f"{label} n° {invoice.number}",
        "kind_label": label,
        "number": invoice.number,
        "authority": invoice.authority_name,
        "regie": invoice.regie_label,
        "subject": invoice.subject,
        "reference": invoice.payer.reference,
        "issued_on": french_date(invoice.issued_on),
        "due_on": french_date(invoice.due_on),
        "is_payable": is_payable,
        "payer": invoice.payer.name,
        "address": invoice.payer.address,
        "lines": [
            {
                "label": line.label,
                "quantity": line.quantity.replace(".", ","),
                "unit": ""
                if line.unit_amount_cents is None
                else format_euros(line.unit_amount_cents),
                "amount": format_euros(line.amount_cents),
            }
            for line in invoice.lines
        ],
        "total": format_euros(invoice.amount_cents),
        "total_label": "Total à payer" if is_payable else "Montant de l’avoir",
        "pay_title": "Payer en ligne" if is_payable else "Consulter en ligne",
        "pay_sentence": (
            "Scannez le code avec votre téléphone ou ouvrez l’adresse ci-dessous :"
            " vous pourrez consulter et payer cette facture, sans créer de compte."
            if is_payable
            else "Scannez le code avec votre téléphone ou ouvrez l’adresse ci-dessous."
        ),
        "url": code.url,
        "code": code.svg(),
    }
    return typeset("invoice.typ", {"view": msgspec.json.encode(view).decode()}, ACCESSIBLE)


def french_date(day: date) -> str:
    """Return `1er mars 2026`."""
    number = "1er" if day.day == 1 else str(day.day)
    return f"{number} {MONTHS[day.month - 1]} {day.year}"
