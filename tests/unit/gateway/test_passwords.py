"""Hashes of passwords: strong enough, alike for everybody, never too many at once."""

import asyncio
from collections.abc import Iterator

import pytest

from gateway.adapters import passwords as module
from gateway.adapters.passwords import Passwords
from gateway.ports import BusyError


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    made = Passwords()
    yield made
    made.close()


async def test_a_hash_is_argon2id_of_the_least_strength_or_more(passwords: Passwords) -> None:
    """S7: 19 MiB, two passes, one lane, a salt of its own."""
    first, second = await passwords.hash("the same"), await passwords.hash("the same")

    assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert first != second


async def test_only_the_password_itself_matches(passwords: Passwords) -> None:
    """Neither another case nor another end."""
    kept = await passwords.hash("tilleul-marche")

    assert await passwords.matches(kept, "tilleul-marche") is True
    for other in ("Tilleul-marche", "tilleul-marche ", "", "tilleul"):
        assert await passwords.matches(kept, other) is False


@pytest.mark.parametrize("kept", [None, "", "not a hash", "$argon2id$v=19$broken"])
async def test_who_is_unknown_matches_nothing(passwords: Passwords, kept: str | None) -> None:
    """Not even the password of the hash that stands in for theirs."""
    assert await passwords.matches(kept, "nobody has this password") is False


async def test_an_unknown_person_costs_as_many_hashes_as_a_known_one(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S9: time tells nothing; the same work is done, at the same strength."""
    kept = await passwords.hash("tilleul-marche")
    verified: list[str] = []

    class Counting:
        def verify(self, password_hash: str, password: str) -> bool:
            verified.append(password_hash.rpartition("$")[0].rpartition("$")[0])
            return True

    monkeypatch.setattr(passwords, "_hasher", Counting())
    await passwords.matches(kept, "x")
    await passwords.matches(None, "x")

    assert verified[0] == verified[1]


async def test_too_many_at_once_are_told_to_come_back(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S7: the pool is capped, and so is the line before it."""
    monkeypatch.setattr(module, "WAITING_AT_MOST", 3)

    results = await asyncio.gather(
        *(passwords.matches(None, "x") for _ in range(5)), return_exceptions=True
    )

    assert [type(result) for result in results] == [bool, bool, bool, BusyError, BusyError]
    assert await passwords.matches(None, "x") is False
