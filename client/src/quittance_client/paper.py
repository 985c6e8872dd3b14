"""Brings PDFs and their indexes here, whole or not at all; tells for whom none are printed."""

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urljoin

from quittance_client import documents
from quittance_client.documents import Document
from quittance_client.doors import Call, Doors
from quittance_client.errors import RefusedError, SettingsError, UnavailableError
from quittance_client.pace import FIRST_IDLE_SECONDS, LONGEST_IDLE_SECONDS, Pace, growing
from quittance_client.screen import Screen

PATIENCE_SECONDS = 3600.0
"""How long files that are still being made are waited for."""
NOT_READY = "not-ready"


class Printer:
    """Fetches from one profile's doors."""

    def __init__(self, doors: Doors, screen: Screen, pace: Pace) -> None:
        """Show on `screen` how much has come."""
        self._doors = doors
        self._screen = screen
        self._pace = pace
        self._base = f"{doors.profile.deposits_url}/v1"

    def fetch(self, path: str, target: Path, query: Mapping[str, str]) -> None:
        """Put what is at `path` into the file `target`, waiting while it is being made.

        Raises:
            RefusedError, UnavailableError: as `Doors.ask`; `not-ready` after an hour.
            SettingsError: the file cannot be written.
        """
        call = Call(method="GET", url=f"{self._base}/{path}", query=query)
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            self._until_ready(call, temporary, target.name)
            temporary.replace(target)
        except OSError as error:
            raise SettingsError("file-unwritable", path=target, reason=error.strerror) from error
        finally:
            temporary.unlink(missing_ok=True)

    def _until_ready(self, call: Call, temporary: Path, name: str) -> None:
        waits = growing(FIRST_IDLE_SECONDS, LONGEST_IDLE_SECONDS)
        ends_at = self._pace.monotonic() + PATIENCE_SECONDS
        while not self._is_fetched(call, temporary, name):
            if self._pace.monotonic() >= ends_at:
                raise UnavailableError("not-ready", url=call.url, seconds=round(PATIENCE_SECONDS))
            wait = next(waits)
            self._screen.note("not-yet", seconds=round(wait))
            self._pace.sleep(wait)

    def _is_fetched(self, call: Call, temporary: Path, name: str) -> bool:
        """Tell whether it came; not while it is being made: 202, or 409 `not-ready`."""
        with self._screen.bar(self._screen.words("fetching", name=name)) as move:
            try:
                return self._doors.fetch(call, temporary, move) == 200
            except RefusedError as error:
                if error.status == 409 and error.code == NOT_READY:
                    return False
                raise


def paperless(doors: Doors) -> list[Document]:
    """Return every payer who wants no paper at this moment, page by page until the last.

    Raises:
        RefusedError, UnavailableError: as `Doors.ask`.
    """
    # The door is the portal's, which gives the tokens too: beside them, under whatever prefix.
    url = urljoin(doors.profile.token_url, "../v1/paperless")
    found: list[Document] = []
    query: dict[str, str] = {}
    while True:
        page = doors.ask(Call(method="GET", url=url, query=query))
        found += documents.rows(page, "payers")
        if page.get("next") is None:
            return found
        query = {"after": documents.text(page, "next")}
