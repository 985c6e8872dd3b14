"""What is remembered between two runs: deposits under way, and how far the feed was read.

One small file for each, put in place whole; a file that is damaged or gone only costs a repetition,
which keys and cursors make harmless.
"""

import contextlib
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path

import filelock
import platformdirs

from quittance_client.documents import Document
from quittance_client.errors import SettingsError

KEPT_SECONDS = 180 * 86_400.0
"""Deposits older than this are forgotten."""


@dataclass(frozen=True, kw_only=True)
class DepositRecord:
    """One content with its parameters: how often sent anew, and which deposit it became."""

    fingerprint: str
    attempt: int = 0
    deposit_id: str | None = None

    @property
    def key(self) -> str:
        """Return the Idempotency-Key: the same for the same content, until sent anew on purpose."""
        return "quittance-" + sha256(f"{self.fingerprint} {self.attempt}".encode()).hexdigest()

    def anew(self) -> "DepositRecord":
        """Return the record under which the same content is deposited once more."""
        return replace(self, attempt=self.attempt + 1, deposit_id=None)


def fingerprint(*what: object) -> str:
    """Return a name for a content, a target and parameters."""
    return sha256(json.dumps(what, ensure_ascii=True).encode()).hexdigest()


def state_path(environment: Mapping[str, str]) -> Path:
    """Return the folder of the state: QUITTANCE_STATE, or the platform's own place."""
    chosen = environment.get("QUITTANCE_STATE")
    return Path(chosen) if chosen else platformdirs.user_state_path("quittance")


class State:
    """The folder, shared by every command of this user that runs at the time."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`, made when first needed."""
        self._folder = folder

    def deposit(self, name: str) -> DepositRecord:
        """Return what is known of a content, a fresh record if nothing is."""
        known = self._read(f"deposit-{name}.json")
        attempt, deposit_id = known.get("attempt"), known.get("deposit_id")
        return DepositRecord(
            fingerprint=name,
            attempt=attempt if isinstance(attempt, int) else 0,
            deposit_id=deposit_id if isinstance(deposit_id, str) else None,
        )

    def keep_deposit(self, record: DepositRecord) -> None:
        """Remember a deposit, and forget very old ones."""
        self._write(f"deposit-{record.fingerprint}.json", asdict(record))
        self._forget_old()

    def cursor(self, name: str) -> str | None:
        """Return where a feed was left, None if it was never read."""
        cursor = self._read(f"cursor-{name}.json").get("cursor")
        return cursor if isinstance(cursor, str) else None

    def keep_cursor(self, name: str, cursor: str) -> None:
        """Remember where a feed was left."""
        self._write(f"cursor-{name}.json", {"cursor": cursor})

    @contextlib.contextmanager
    def hold(self, name: str, *, wait: bool) -> Iterator[None]:
        """Hold what `name` stands for, alone among all processes; the system frees it if one dies.

        Raises:
            SettingsError: `cursor-busy`, another holds it and `wait` is false.
        """
        self._make_folder()
        lock = filelock.FileLock(self._folder / f"{_safe(name)}.lock")
        try:
            # Two runs of one command would else send the same content at the same time.
            lock.acquire(timeout=-1 if wait else 0)
        except filelock.Timeout as error:
            raise SettingsError("cursor-busy") from error
        except OSError as error:
            raise SettingsError(
                "file-unwritable", path=self._folder, reason=error.strerror
            ) from error
        try:
            yield
        finally:
            lock.release()

    def _read(self, name: str) -> Document:
        try:
            found = json.loads((self._folder / name).read_bytes())
        except (OSError, ValueError):
            # Never written, or damaged: then the doors know better, under the same key.
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self, name: str, content: Document) -> None:
        self._make_folder()
        path = self._folder / name
        temporary = self._folder / f".{name}.{os.getpid()}"
        try:
            temporary.touch(mode=0o600)
            temporary.write_text(json.dumps(content), encoding="utf-8")
            temporary.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise SettingsError("file-unwritable", path=path, reason=error.strerror) from error

    def _make_folder(self) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(
                "file-unwritable", path=self._folder, reason=error.strerror
            ) from error

    def _forget_old(self) -> None:
        oldest = time.time() - KEPT_SECONDS
        for path in self._folder.glob("deposit-*"):
            # Another run may have forgotten it first.
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < oldest:
                    path.unlink()


def _safe(name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_-]", "_", name)
