"""How secrets of second factors are made, sealed, shown and checked."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.totp import grouped, is_secret, new_secret, period_of
from gateway.adapters.vault import Vault, sealing_keys
from gateway.api.proving import (
    as_recovery_code,
    digits_of,
    new_recovery_codes,
    shown_recovery_code,
)
from gateway.ports import Owner
from tests.unit.gateway.door import NOW, Door

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")],
)
def test_codes_are_those_of_the_standard(seconds: int, code: str) -> None:
    """RFC 6238, appendix B, SHA-1, the last six digits."""
    now = datetime.fromtimestamp(seconds, UTC)

    assert period_of(RFC_SECRET, code, now) == seconds // 30


@given(st.integers(-5, 5), st.integers(-5, 5))
def test_a_code_is_of_the_periods_around_now_and_later_than_the_last(shift: int, used: int) -> None:
    """One period before and after, and never one that was used or came before it."""
    present = int(NOW.timestamp()) // 30
    code = pyotp.TOTP(SECRET).generate_otp(present + shift)

    found = period_of(SECRET, code, NOW, present + used)

    assert found == (present + shift if abs(shift) <= 1 and shift > used else None)


@pytest.mark.parametrize(
    "code", ["", "1", "28708", "2870820", "28 082", "٢٨٧٠٨٢", "abcdef", "\x00"]
)
def test_what_is_no_code_is_refused(code: str) -> None:
    """Whatever was typed."""
    assert period_of(RFC_SECRET, code, datetime.fromtimestamp(59, UTC)) is None


def test_secrets_are_drawn_and_read_in_groups() -> None:
    """160 bits each, none like another."""
    secrets = {new_secret() for _ in range(100)}

    assert len(secrets) == 100
    assert {len(secret) for secret in secrets} == {32}
    assert all(is_secret(secret) for secret in secrets)
    assert grouped("ABCDEFGH23") == "ABCD EFGH 23"


@pytest.mark.parametrize("text", ["", "ABC", "0189", "A" * 24, "éé" * 16])
def test_what_applications_do_not_take_is_no_secret(text: str) -> None:
    """Base32, of 128 bits or more."""
    assert not is_secret(text)


def test_recovery_codes_have_eighty_bits_and_are_read_however_they_are_typed() -> None:
    """Case, spaces, hyphens, and the digits that look like letters."""
    codes = [code for _ in range(20) for code in new_recovery_codes()]

    assert len(set(codes)) == 200
    assert {len(code) for code in codes} == {16}
    for code in codes:
        assert as_recovery_code(shown_recovery_code(code).upper()) == code
        assert as_recovery_code(f" {code[:8]} {code[8:]}\n") == code
        assert as_recovery_code(code.replace("o", "0").replace("l", "1")) == code
    assert shown_recovery_code("abcdefgh23456723") == "abcd-efgh-2345-6723"
    assert digits_of(" 123 456 ") == "123456"


@given(st.binary(max_size=200))
def test_what_is_sealed_is_opened_by_our_keys_alone(content: bytes) -> None:
    """The one in use and the one before it."""
    old, new = sealing_keys("first key", ""), sealing_keys("second key", "first key")
    sealed = Vault(old).seal(content)

    assert Vault(new).open(sealed) == content
    assert not Vault(new).is_newest(sealed)
    assert Vault(new).is_newest(Vault(new).seal(content))
    assert Vault(sealing_keys("third key", "")).open(sealed) is None


def test_what_was_handed_out_is_taken_back_for_a_time() -> None:
    """Unchanged, and not too late."""
    vault = Vault(sealing_keys("a key", ""))
    handed = vault.hand_out(b"a challenge", 1000)

    assert vault.take_back(handed, 1600, 600) == b"a challenge"
    assert vault.take_back(handed, 1601, 600) is None
    assert vault.take_back(handed[:-4] + "AAAA", 1000, 600) is None
    assert vault.take_back("é", 1000, 600) is None


@pytest.mark.enable_socket
async def test_a_new_key_seals_what_the_one_before_sealed(door: Door) -> None:
    """After that the earlier key may go; what no key opens is left as it is."""
    await door.add_town(has_factor=False)
    old = Vault(sealing_keys("first key", ""))
    both = Vault(sealing_keys("second key", "first key"))
    new = Vault(sealing_keys("second key", ""))
    owner = Owner(login="regisseur")
    async with door.portal() as portal:
        await portal.add_totp(owner, "a", old.seal(b"one"), 0, NOW)
        await portal.add_totp(owner, "b", b"of nobody", 0, NOW + timedelta(seconds=1))

    async with door.portal() as portal:
        last = await portal.seal_anew(UUID(int=0), both)
        assert last is not None
        end = await portal.seal_anew(last, both)

    async with door.portal() as portal:
        kept = [factor.sealed_secret for factor in await portal.totp_factors(owner)]
    assert end is None
    assert [new.open(sealed) for sealed in kept] == [b"one", None]
