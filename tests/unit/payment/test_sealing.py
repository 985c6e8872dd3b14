"""Secrets of the accounts file, sealed: the file alone gives none away, and the key may change."""

import io
import os
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.fernet import Fernet

from payment.adapters import sealing
from payment.adapters.accounts import (
    LyraShop,
    MollieShop,
    OgoneShop,
    PayboxShop,
    PayfipContract,
    SipsShop,
    TipiContract,
    read_accounts,
)
from payment.adapters.sealing import PREFIX, SECRETS, open_secrets, seal_secrets
from shared.errors import SettingsError
from tests.unit.payment.payment_builders import KEY, PREVIOUS_KEY, an_account

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))


def a_row(**changes: object) -> dict[str, Any]:
    """Return an account as it stands in the file, with its secrets in the clear."""
    row: dict[str, Any] = msgspec.json.decode(
        msgspec.json.encode(an_account(previous_key=PREVIOUS_KEY))
    )
    return row | changes


def test_a_sealed_file_is_read_as_the_one_that_it_was_made_from(tmp_path: Path) -> None:
    """Nothing but the secrets is sealed, so that people can still read the file."""
    path = tmp_path / "accounts.json"
    path.write_bytes(msgspec.json.encode(seal_secrets([a_row()], OLD)))

    assert [an_account(previous_key=PREVIOUS_KEY)] == read_accounts(path, OLD)
    text = path.read_text()
    assert KEY not in text
    assert PREVIOUS_KEY not in text
    assert '"site_id":"12345678"' in text


def test_what_is_not_set_is_not_sealed() -> None:
    """A previous key comes and goes."""
    [row] = seal_secrets([a_row(previous_key=None)], OLD)

    assert row["previous_key"] is None
    assert row["key"].startswith(PREFIX)


def test_a_key_is_replaced_in_three_steps() -> None:
    """Old, both, new: nothing is lost, and afterwards the old key opens nothing."""
    sealed = seal_secrets([a_row()], OLD)

    again = seal_secrets(sealed, f"{NEW}, {OLD}")

    assert [a_row()] == open_secrets(sealed, f"{NEW},{OLD}")
    assert [a_row()] == open_secrets(again, NEW)
    with pytest.raises(SettingsError, match=r"\$\[0\]\.(previous_)?key is sealed under another"):
        open_secrets(again, OLD)


def test_an_altered_secret_is_told_by_its_place_and_not_its_value() -> None:
    """The service does not start on it."""
    [row] = seal_secrets([a_row()], OLD)
    row["key"] = row["key"][:-6] + "AAAA=="

    with pytest.raises(SettingsError, match=r"\$\[0\]\.key is sealed under another key") as raised:
        open_secrets([row], OLD)
    assert row["key"] not in str(raised.value)


def test_with_a_key_every_secret_must_be_sealed() -> None:
    """One that was left in the clear would be found out too late."""
    [sealed] = seal_secrets([a_row()], OLD)

    with pytest.raises(SettingsError, match=r"\$\[1\]\.key is not sealed") as raised:
        open_secrets([sealed, sealed | {"key": KEY}], OLD)
    assert KEY not in str(raised.value)


def test_a_sealed_file_without_its_key_stops_the_service() -> None:
    """And the sealed text is never taken for a key."""
    with pytest.raises(SettingsError, match="is sealed, without PROVIDER_SEALING_KEYS"):
        open_secrets(seal_secrets([a_row()], OLD), None)


def test_a_file_in_the_clear_needs_no_key() -> None:
    """Where the store of secrets itself is encrypted."""
    assert [a_row()] == open_secrets([a_row()], None)


@pytest.mark.parametrize("keys", ["secret", f"{OLD},", OLD[:-4]])
def test_a_key_that_is_none_stops_the_service(keys: str) -> None:
    """It is told when the service starts, without the value."""
    with pytest.raises(SettingsError, match="PROVIDER_SEALING_KEYS must be Fernet keys") as raised:
        open_secrets([a_row()], keys)
    assert keys not in str(raised.value)


def test_every_secret_of_every_account_is_known_as_one() -> None:
    """A field that proves something and is not in the list would stay in the clear."""
    kinds = (
        LyraShop,
        PayboxShop,
        SipsShop,
        OgoneShop,
        MollieShop,
        PayfipContract,
        TipiContract,
    )
    names = {field.name for kind in kinds for field in msgspec.structs.fields(kind)}

    like_secrets = {
        name
        for name in names
        if any(word in name for word in ("key", "sha_", "token", "secret", "password"))
    }
    public = {"public_key", "previous_public_key", "key_version"}
    assert SECRETS == like_secrets - public


def test_the_command_seals_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets come on standard input, where no list of processes shows them."""
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(msgspec.json.encode([a_row()]))))
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out))
    monkeypatch.setitem(os.environ, "PROVIDER_SEALING_KEYS", OLD)

    sealing.main()

    rows = msgspec.json.decode(out.getvalue())
    assert [a_row()] == open_secrets(rows, OLD)
    assert KEY.encode() not in out.getvalue()
    assert b'\n    "account": "saint-aubin-carte"' in out.getvalue()


def test_the_command_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise it would write the secrets as they are."""
    monkeypatch.delitem(os.environ, "PROVIDER_SEALING_KEYS", raising=False)

    with pytest.raises(SettingsError, match="PROVIDER_SEALING_KEYS is missing"):
        sealing.main()
