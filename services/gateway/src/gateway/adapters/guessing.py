"""How easily a password is guessed: zxcvbn's lists of what leaked, patterns and keyboards."""

import asyncio
from collections.abc import Sequence
from typing import Literal

from zxcvbn import zxcvbn

Weakness = Literal["common", "repeated", "keyboard", "sequence", "personal", "guessable"]
"""Why: it leaked, repeats, follows the keyboard or the alphabet, or says who chose it."""

GUESSES_AT_LEAST = 10**8
"""zxcvbn's score 3: safe against guessing at the rate that the throttle leaves."""
CHARACTERS_LOOKED_AT = 24
"""The work grows fast with the length; a password of which so many are strong is strong."""
OWN_WORDS = ("quittance", "facture", "factures", "mairie", "cantine", "creche", "collectivite")
"""What people think of on this very page."""
_PATTERNS: dict[str, Weakness] = {
    "repeat": "repeated",
    "spatial": "keyboard",
    "sequence": "sequence",
}


async def weakness(password: str, personal: Sequence[str] = ()) -> Weakness | None:
    """Return why a password is easily guessed, or None; `personal` is what says who chose it.

    It is looked at in a thread: an odd password takes some tenths of a second.
    """
    return await asyncio.to_thread(_weakness, password, personal)


def _weakness(password: str, personal: Sequence[str]) -> Weakness | None:
    words = [word for text in personal for word in (text, *_words(text))]
    found = zxcvbn(password[:CHARACTERS_LOOKED_AT], [*words, *OWN_WORDS])
    if found["guesses"] >= GUESSES_AT_LEAST:
        return None
    # The longest part says most of why the whole is weak.
    longest = max(found["sequence"], key=lambda part: len(part["token"]))
    if longest["pattern"] == "dictionary":
        return "personal" if longest["dictionary_name"] == "user_inputs" else "common"
    return _PATTERNS.get(longest["pattern"], "guessable")


def _words(text: str) -> list[str]:
    """Return the parts of an address: `camille`, `martin`, `exemple`."""
    parts = "".join(letter if letter.isalnum() else " " for letter in text).split()
    return [part for part in parts if len(part) > 2]
