"""Numbers of French local debts as PES and ROLMRE write them: control keys and references."""

import re
from itertools import accumulate
from operator import mul

_REFERENCE_DIGITS = 6
_DEBT_REFERENCE = re.compile(r"[A-Za-z0-9]{6,30}")
_NOT_ALPHANUMERIC = re.compile(r"[^A-Za-z0-9]")
_NOT_A_DIGIT = re.compile(r"[^0-9]")
_DEBT_DIGITS = 13
_KEY_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXY"
_LONGEST = 64
_WEIGHTS = tuple(2 + rank % 6 for rank in range(_LONGEST))
_ZERO_SUMS = tuple(ord("0") * total for total in accumulate(_WEIGHTS, initial=0))
"""What so many digits would come to if all of them were 0: bytes are summed, not digits."""
_LATE_MONTHS = ("10", "11", "12")


def is_first_key(written: str, number: str) -> bool:
    """Say whether `written` is the key Cle1 of a number: modulo 11 over its digits.

    Weights 2 to 7 from the right, 11 minus the remainder, above 9 gives 1. Where the remainder is
    0, Noethys writes 0 in a ROLMRE file and Noethysweb 1 in a PES file: both are accepted.
    """
    digits = number[-_LONGEST:]
    if not (digits.isascii() and digits.isdecimal()):
        # As both do: the letter of a Corsican code counts as nothing.
        digits = _NOT_A_DIGIT.sub("0", digits)
    total = sum(map(mul, digits[::-1].encode(), _WEIGHTS)) - _ZERO_SUMS[len(digits)]
    remainder = total % 11
    if remainder > 1:
        return written == str(11 - remainder)
    return written == "1" or (remainder == 0 and written == "0")


def second_key(number: str) -> str:
    """Return Cle2: a letter, modulo 23 over two digits of the year, period, `00` and debt."""
    return _KEY_LETTERS[int(number) % len(_KEY_LETTERS)]


def padded_debt(debt: str) -> str:
    """Return a debt number as the keys count it, on thirteen digits."""
    return debt.zfill(_DEBT_DIGITS)


def periods(period: str) -> tuple[str, ...]:
    """Return the periods that keys may have been computed with, where `period` is written.

    Noethys and Noethysweb write the first digit of the month and compute with the whole month.
    """
    return (period, *_LATE_MONTHS) if period == "1" else (period,)


def debt_reference(number: str) -> str | None:
    """Return the PayFiP reference (`refdet`) of a debt number, or None if it can have none.

    PayFiP takes 6 to 30 letters and digits, and refuses 4 with R3. Shorter numbers are filled up
    with zeros to six digits, as Noethysweb does when it has the same numbers paid (`%06d`,
    portail/views/facturation.py); the guide of the DGFiP itself was not readable here.
    """
    if not number:
        return None
    if not (number.isascii() and number.isalnum()):
        number = _NOT_ALPHANUMERIC.sub("", number)
    reference = number.zfill(_REFERENCE_DIGITS)
    return reference if _DEBT_REFERENCE.fullmatch(reference) else None


def invoice_number(year: str, period: str, debt: str) -> str:
    """Return the number of an invoice that has only a debt number: `2026-9-4711`.

    Debt numbers begin anew each year, and a meter's is the same in each period.
    """
    return "-".join(part for part in (year, period if period != "0" else "", debt) if part)
