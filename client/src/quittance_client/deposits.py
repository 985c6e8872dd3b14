"""Deposits a content once, however often the command is interrupted, and follows it to its end."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from quittance_client import documents, state
from quittance_client.body import Body
from quittance_client.documents import Document
from quittance_client.doors import Call, Doors
from quittance_client.errors import RefusedError, UnavailableError
from quittance_client.pace import (
    FIRST_POLL_SECONDS,
    LONGEST_POLL_SECONDS,
    PATIENCE_SECONDS,
    Pace,
    growing,
)
from quittance_client.screen import Screen
from quittance_client.state import DepositRecord, State

ENDED = frozenset({400, 413, 415, 422, 500})
"""Answers that end the deposit itself: the next try is sent under another key."""
MAXIMUM_PAGES = 100_000


class Verdict(IntEnum):
    """What became of a deposit, and the exit code that tells it; the largest of several counts."""

    ACCEPTED = 0
    SOME_REJECTED = 1
    FAILED = 2


@dataclass(frozen=True, kw_only=True)
class Asked:
    """How a deposit is to be taken."""

    regie: str | None = None
    version: int | None = None
    publish: str | None = None
    is_dry_run: bool = False
    key: str | None = None
    is_anew: bool = False
    """Deposit it once more, even if it was deposited to its end."""

    def query(self) -> dict[str, str]:
        """Return the parameters of the request."""
        named = {
            "regie": self.regie,
            "version": None if self.version is None else str(self.version),
            "publish": self.publish,
            "dry_run": "true" if self.is_dry_run else None,
        }
        return {name: value for name, value in named.items() if value is not None}


class Depositor:
    """Deposits and follows at one profile's doors."""

    def __init__(self, doors: Doors, kept: State, screen: Screen, pace: Pace) -> None:
        """Remember in `kept` what was sent."""
        self._doors = doors
        self._kept = kept
        self._screen = screen
        self._pace = pace
        self._base = f"{doors.profile.deposits_url}/v1/deposits"

    def deposit(self, body: Body, asked: Asked, *, wait: bool) -> Document:
        """Return the deposit of this content, read to its end if `wait`.

        What an earlier run of the same command sent is followed; what it may have sent is sent
        again under the same key.

        Raises:
            RefusedError: the door refuses the deposit.
            UnavailableError: the doors could not be reached, or it stood still too long.
        """
        profile = self._doors.profile
        name = state.fingerprint(
            profile.deposits_url, profile.client_id, body.sha256, asked.query(), asked.key
        )
        with self._kept.hold(f"deposit-{name}", wait=True):
            record = self._kept.deposit(name)
            if asked.is_anew and record.deposit_id is not None:
                record = record.anew()
            found = self._find(record)
            if found is None:
                found = self._send(body, asked, record)
                record = self._kept.deposit(name)
            else:
                deposit_id = documents.text(found, "deposit_id")
                self._screen.note("following", name=body.name, deposit_id=deposit_id)
        if not wait:
            return found
        deposit = self.follow(documents.text(found, "deposit_id"), body.name)
        if is_without_trace(deposit):
            # There is nothing to come back to: the same command is a new deposit from now on.
            self._kept.keep_deposit(record.anew())
        return deposit

    def _find(self, record: DepositRecord) -> Document | None:
        if record.deposit_id is None:
            return None
        try:
            return self.get(record.deposit_id)
        except RefusedError as error:
            if error.status == 404:
                return None
            raise

    def _send(self, body: Body, asked: Asked, record: DepositRecord) -> Document:
        # Kept before anything leaves: whoever comes back after a crash sends under the same key.
        self._kept.keep_deposit(record)
        with self._screen.bar(self._screen.words("sending", name=body.name)) as move:

            def chunks() -> Iterator[bytes]:
                return body.chunks(lambda sent: move(sent, body.size, ""))

            try:
                taken = self._doors.ask(
                    Call(
                        method="POST",
                        url=self._base,
                        query=asked.query(),
                        headers={
                            "Content-Type": body.media_type,
                            "Content-Length": str(body.size),
                            "Idempotency-Key": asked.key or record.key,
                            "Prefer": "respond-async",
                        },
                        content=chunks,
                    )
                )
            except RefusedError as error:
                if error.status in ENDED:
                    self._kept.keep_deposit(record.anew())
                raise
        deposit_id = documents.text(taken, "deposit_id")
        self._kept.keep_deposit(
            DepositRecord(
                fingerprint=record.fingerprint, attempt=record.attempt, deposit_id=deposit_id
            )
        )
        return taken

    def get(self, deposit_id: str) -> Document:
        """Return a deposit as it is now.

        Raises:
            RefusedError, UnavailableError: as `Doors.ask`.
        """
        return self._doors.ask(Call(method="GET", url=f"{self._base}/{deposit_id}"))

    def follow(self, deposit_id: str, name: str) -> Document:
        """Return a deposit once it is done or failed.

        Raises:
            RefusedError, UnavailableError: as `Doors.ask`; `no-progress` when it stands still.
        """
        waits = growing(FIRST_POLL_SECONDS, LONGEST_POLL_SECONDS)
        last: tuple[str, int, int] | None = None
        moved_at = self._pace.monotonic()
        with self._screen.bar(self._screen.words("reading", name=name)) as move:
            while True:
                deposit = self.get(deposit_id)
                status = documents.text(deposit, "status")
                read, total = (
                    documents.number(deposit, field) for field in ("read_bytes", "total")
                )
                size = documents.number(deposit, "size_bytes") or None
                move(read, size, self._screen.words("lines-read", total=total))
                if status in ("done", "failed"):
                    return deposit
                if (status, read, total) != last:
                    last = (status, read, total)
                    moved_at = self._pace.monotonic()
                    waits = growing(FIRST_POLL_SECONDS, LONGEST_POLL_SECONDS)
                elif self._pace.monotonic() - moved_at > PATIENCE_SECONDS:
                    raise UnavailableError(
                        "no-progress", deposit_id=deposit_id, seconds=round(PATIENCE_SECONDS)
                    )
                self._pace.sleep(next(waits))

    def lines(self, deposit_id: str, status: str | None = None) -> Iterator[Document]:
        """Yield the lines of a deposit, those of one status only if it is given, page by page.

        Raises:
            RefusedError, UnavailableError: as `Doors.ask`.
        """
        query = {"status": status} if status else {}
        for _ in range(MAXIMUM_PAGES):
            page = self._doors.ask(
                Call(method="GET", url=f"{self._base}/{deposit_id}/lines", query=query)
            )
            yield from documents.rows(page, "lines")
            following = page.get("next")
            if following is None:
                return
            query["after"] = str(following)


def verdict(deposit: Document) -> Verdict:
    """Return what became of a deposit; one that is not read yet counts as accepted."""
    if deposit.get("status") == "failed":
        return Verdict.FAILED
    return Verdict.SOME_REJECTED if deposit.get("rejected") else Verdict.ACCEPTED


def is_without_trace(deposit: Document) -> bool:
    """Tell whether nothing is left of a deposit: it failed, was an essay, or was cancelled."""
    return (
        deposit.get("status") == "failed"
        or bool(deposit.get("is_dry_run"))
        or deposit.get("release") == "cancelled"
    )
