"""Cards: what the payer typed, whether it can be a card at all, and what the bank answers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

CARD_NUMBER_LENGTHS = range(12, 20)
MONTHS = range(1, 13)
EXPIRY_YEARS_AHEAD = 20


@dataclass(frozen=True, kw_only=True)
class TestCard:
    """One card of the test bank, and the bank's answer to it (ISO 8583 response code)."""

    __test__ = False  # The name is Lyra's; pytest must not take it for a test class.

    number: str
    brand: str
    auth_result: str
    meaning: str


APPROVED = "00"
INVALID_HOLDER_NUMBER = "14"

TEST_CARDS = (
    TestCard(
        number="4970100000000055", brand="CB", auth_result=APPROVED, meaning="paiement accepté"
    ),
    TestCard(
        number="5970100300000018",
        brand="MASTERCARD",
        auth_result=APPROVED,
        meaning="paiement accepté",
    ),
    TestCard(
        number="4970100000000014",
        brand="CB",
        auth_result="05",
        meaning="refusé : ne pas honorer",
    ),
    TestCard(
        number="4970101000001002",
        brand="CB",
        auth_result="51",
        meaning="refusé : provision insuffisante",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Card:
    """A card as typed on the page, its shape already checked; it is never kept whole."""

    number: str
    expiry_month: int
    expiry_year: int

    @property
    def masked_number(self) -> str:
        """The number as shown to the merchant: six digits, crosses, four digits."""
        return self.number[:6] + "X" * (len(self.number) - 10) + self.number[-4:]

    @property
    def brand(self) -> str:
        """The scheme, from the first digits; a French test card is CB."""
        for card in TEST_CARDS:
            if card.number == self.number:
                return card.brand
        if self.number[:2] in {"34", "37"}:
            return "AMEX"
        return "VISA" if self.number.startswith("4") else "MASTERCARD"

    def ask_bank(self) -> str:
        """Return the bank's response code; a card it did not issue is an unknown holder."""
        for card in TEST_CARDS:
            if card.number == self.number:
                return card.auth_result
        return INVALID_HOLDER_NUMBER


def passes_luhn(number: str) -> bool:
    """Say whether the last digit of `number` is its Luhn check digit (ISO/IEC 7812-1)."""
    total = 0
    for rank, character in enumerate(reversed(number)):
        digit = int(character)
        if rank % 2:
            digit = digit * 2 - 9 if digit * 2 > 9 else digit * 2
        total += digit
    return total % 10 == 0


def read_card(typed: Mapping[str, str], now: datetime) -> tuple[Card | None, dict[str, str]]:
    """Read what the payer typed; return the card, or the French message for each wrong field."""
    errors: dict[str, str] = {}
    number = re.sub(r"[\s-]", "", typed.get("card_number", ""))
    if not _is_digits(number) or len(number) not in CARD_NUMBER_LENGTHS or not passes_luhn(number):
        errors["card_number"] = "Le numéro de carte n’est pas valide. Vérifiez chaque chiffre."
    expiry = _read_expiry(typed.get("expiry_month", ""), typed.get("expiry_year", ""))
    if expiry is None:
        errors["expiry"] = "La date d’expiration n’est pas valide. Exemple : 06 et 2030."
    elif not now.date().replace(day=1) <= expiry <= _latest_expiry(now):
        errors["expiry"] = "La carte a expiré, ou sa date d’expiration est trop lointaine."
    cvv = typed.get("cvv", "").strip()
    if not _is_digits(cvv) or len(cvv) not in {3, 4}:
        errors["cvv"] = "Le code de sécurité compte 3 chiffres, au dos de la carte."
    if errors or expiry is None:
        return None, errors
    return Card(number=number, expiry_month=expiry.month, expiry_year=expiry.year), {}


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _read_expiry(month: str, year: str) -> date | None:
    """Return the first day of the month of expiry; a year of two digits is in this century."""
    month, year = month.strip(), year.strip()
    if not _is_digits(month) or not _is_digits(year) or len(month) > 2 or len(year) not in {2, 4}:
        return None
    full_year = int(year) if len(year) == 4 else 2000 + int(year)
    if int(month) not in MONTHS or full_year < 1:
        return None
    return date(full_year, int(month), 1)


def _latest_expiry(now: datetime) -> date:
    return date(now.year + EXPIRY_YEARS_AHEAD, now.month, 1)
