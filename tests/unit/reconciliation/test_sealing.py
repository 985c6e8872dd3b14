"""Secrets at rest: the database alone gives none away, and the key may change."""

import pytest
from cryptography.fernet import Fernet

from reconciliation.adapters.sealing import FernetSealer, SealError
from shared.errors import SettingsError

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))
SECRET = b"0123456789abcdef0123456789abcdef"


def test_opens_what_it_sealed() -> None:
    """The same secret comes back, and what is stored does not hold it."""
    sealer = FernetSealer(OLD)

    sealed = sealer.seal(SECRET)

    assert SECRET == sealer.open(sealed)
    assert SECRET not in sealed
    assert sealed != sealer.seal(SECRET)


def test_a_key_is_replaced_in_three_steps() -> None:
    """Old, both, new: nothing is lost, and afterwards the old key opens nothing."""
    sealed = FernetSealer(OLD).seal(SECRET)

    again = FernetSealer(f"{NEW}, {OLD}").seal_again(sealed)

    assert SECRET == FernetSealer(NEW).open(again)
    with pytest.raises(SealError):
        FernetSealer(OLD).open(again)


def test_does_not_open_what_another_key_sealed() -> None:
    """Nor what was altered."""
    sealed = FernetSealer(OLD).seal(SECRET)
    altered = sealed[:-1] + (b"A" if sealed[-1:] != b"A" else b"B")

    for bytes_ in (altered, b"", b"?"):
        with pytest.raises(SealError):
            FernetSealer(OLD).open(bytes_)
    with pytest.raises(SealError):
        FernetSealer(NEW).open(sealed)


@pytest.mark.parametrize("keys", ["", "secret", f"{OLD},", OLD[:-4]])
def test_a_key_that_is_none_stops_the_service(keys: str) -> None:
    """It is told when the service starts, without the value."""
    with pytest.raises(SettingsError, match="WEBHOOK_KEY must be Fernet keys"):
        FernetSealer(keys)
