"""What a text in an invoice may be, and how a refusal is told."""

import re
import unicodedata
from collections.abc import Iterator, Sequence

import msgspec

SHORTEST_CARD_NUMBER = 15
EMAIL_LENGTH = 254

_EMAIL_LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_EMAIL_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = re.compile(rf"(?=[^@]{{1,64}}@){_EMAIL_LOCAL}@(?:{_EMAIL_LABEL}\.)+[A-Za-z]{_EMAIL_LABEL}")
_CARD_NUMBER = re.compile(r"(?<![0-9])(?<![0-9][ -])(?:[0-9][ -]?){14,15}[0-9](?![ -]?[0-9])")
_CARD_PREFIX = re.compile(r"(?:4[0-9]|5[1-5]|2[2-7])[0-9]{14}|3[47][0-9]{13}")
_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Controls, zero-width and direction marks, surrogates, private use, line separators."""


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """Why a line is refused: a stable code, where (RFC 6901 or XML path), a French sentence."""

    code: str
    pointer: str
    message: str

    def under(self, prefix: str) -> "Rejection":
        """Return the same refusal seen from further up, such as under `/invoices/3`."""
        return Rejection(code=self.code, pointer=prefix + self.pointer, message=self.message)


def refuse(code: str, pointer: str, message: str) -> Rejection:
    """Return a refusal."""
    return Rejection(code=code, pointer=pointer, message=message)


def email_problems(email: str) -> Iterator[Rejection]:
    """Refuse what is not one address of the form that mail servers take."""
    problems = text_problems("/payer/email", email, EMAIL_LENGTH)
    yield from problems
    if not problems and not _EMAIL.fullmatch(email):
        yield refuse(
            "email_format",
            "/payer/email",
            "L’adresse électronique doit être une seule adresse, de la forme nom@domaine.",
        )


def identifier_problems(pointer: str, text: str, length: int) -> Sequence[Rejection]:
    """Refuse what two systems could write alike and compare as different."""
    problems = text_problems(pointer, text, length)
    is_one_way = text.isascii() or unicodedata.is_normalized("NFC", text)
    if problems or (text == text.strip() and is_one_way):
        return problems
    return [
        refuse(
            "identifier_format",
            pointer,
            "Un identifiant n’a pas d’espace au bord et ses accents sont composés (NFC).",
        )
    ]


def text_problems(pointer: str, text: str, length: int) -> Sequence[Rejection]:
    """Refuse a text that is blank, longer than `length` or holds what cannot be seen."""
    # Nearly every text of nearly every line ends here.
    if 0 < len(text) <= length and text.isprintable() and not text.isspace():
        return ()
    return list(_faults_of_text(pointer, text, length))


def _faults_of_text(pointer: str, text: str, length: int) -> Iterator[Rejection]:
    if not text or text.isspace():
        yield refuse("blank", pointer, "Ce champ ne peut pas être vide.")
    elif len(text) > length:
        yield refuse("too_long", pointer, f"Ce champ compte {length} caractères au plus.")
    # `isprintable` is the fast path; it also says no to the no-break spaces of French text.
    if not text.isprintable() and any(
        unicodedata.category(character) in _FORBIDDEN_CATEGORIES for character in text
    ):
        yield refuse(
            "forbidden_character", pointer, "Ce champ contient un caractère invisible interdit."
        )


def card_problems(pointer: str, text: str) -> Sequence[Rejection]:
    """Refuse a payment card number in free text: PCI DSS 4.0.1, requirement 3."""
    if len(text) < SHORTEST_CARD_NUMBER:
        return ()
    for match in _CARD_NUMBER.finditer(text):
        digits = match.group().replace(" ", "").replace("-", "")
        if _CARD_PREFIX.fullmatch(digits) and _passes_luhn(digits):
            return [
                refuse("card_number", pointer, "Ce champ contient un numéro de carte bancaire.")
            ]
    return ()


def _passes_luhn(digits: str) -> bool:
    doubled = (divmod(2 * int(digit), 10) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(map(sum, doubled))) % 10 == 0
