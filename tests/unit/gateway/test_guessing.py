"""Passwords that are guessed first are refused, and the reason is told; no rule on characters."""

import pytest

from gateway.adapters.guessing import Weakness, weakness

PERSONAL = ("camille.martin@exemple.test",)


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("motdepasse123", "common"),
        ("password1234", "common"),
        ("marseille2024", "common"),
        ("aaaaaaaaaaaa", "repeated"),
        ("soleilsoleil", "repeated"),
        ("azertyuiop12", "common"),
        ("qsdfghjklmqsdfghjklm", "repeated"),
        ("abcdefghijklm", "sequence"),
        ("camillemartin", "personal"),
        ("quittance2026", "personal"),
    ],
)
async def test_says_why_a_password_is_guessed_first(password: str, reason: Weakness) -> None:
    """ASVS 6.2.4, 6.2.11: lists of what leaked, patterns, and words about who chooses."""
    assert await weakness(password, PERSONAL) == reason


@pytest.mark.parametrize(
    "password",
    [
        "tilleul-marche-fontaine",
        "un tilleul sous la pluie",
        "trois hirondelles au balcon",
        "k7#Lq!x2Vbn0",
        "ÉtéÀLaPlageÇaVaBien",
        "🐘 mange 🍉 le mardi",
    ],
)
async def test_takes_what_is_hard_to_guess_whatever_its_characters(password: str) -> None:
    """CNIL 2022-100, ASVS 6.2.5: words, spaces, accents, signs: all are welcome."""
    assert await weakness(password, PERSONAL) is None


async def test_a_long_password_is_judged_by_its_beginning() -> None:
    """The work must not grow with what a stranger sends."""
    assert await weakness("4@8({[<369&6#1!|0$5+7%2" * 8) is None
    assert await weakness("aaaaaaaaaaaaaaaaaaaaaaaa" + "k7#Lq!x2Vbn0") == "repeated"
