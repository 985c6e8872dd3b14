"""Dates, times and means of payment as the French write them."""

from datetime import date, datetime

from shared.clock import PARIS
from shared.events.payment_captured import Means

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

MEANS: dict[Means, str] = {
    "card": "carte bancaire",
    "payfip": "PayFiP",
    "cash": "espèces",
    "cheque": "chèque",
    "transfer": "virement",
    "direct_debit": "prélèvement",
    "cesu": "CESU",
}


def french_date(day: date) -> str:
    """Return `1er décembre 2026`, with no-break spaces."""
    number = "1er" if day.day == 1 else str(day.day)
    return f"{number}\u00a0{MONTHS[day.month - 1]}\u00a0{day.year}"


def french_instant(instant: datetime) -> str:
    """Return `1er décembre 2026 à 9 h 05`, on the clock of Paris."""
    local = instant.astimezone(PARIS)
    hour = f"{local.hour}\u00a0h\u00a0{local.minute:02d}"
    return f"{french_date(local.date())} à {hour}"
