"""Tends the address that events are sent to; a secret goes into a file, never on screen."""

from pathlib import Path

from quittance_client.documents import Document
from quittance_client.doors import Call, Doors
from quittance_client.profile import write_secret

SECRET = "secret"  # noqa: S105 - the name of a field
HIDDEN = "•••"


class Webhooks:
    """The webhook of one profile."""

    def __init__(self, doors: Doors) -> None:
        """Speak through `doors`."""
        self._doors = doors
        self._base = f"{doors.profile.collections_url}/v1/webhooks"

    def set(
        self, url: str, regies: list[str] | None, since: str | None, secret_file: Path
    ) -> Document:
        """Send events to `url`, from now on or from a cursor of the feed on.

        The secret, which is told only the first time, goes into the file.

        Raises:
            RefusedError, UnavailableError: as `Doors.ask`.
            SettingsError: the file cannot be written; nothing was asked then.
        """
        # Never sent twice: only the first answer is sure to tell the secret.
        wanted = {"url": url, "regies": regies} | ({"since": since} if since else {})
        call = Call(method="PUT", url=self._base, json=wanted, may_repeat=False)
        return self._keep_secret(call, secret_file)

    def rotate(self, secret_file: Path) -> Document:
        """Have a new secret made and put into the file; the old one signs too for a day.

        Raises:
            RefusedError, UnavailableError, SettingsError: as `set`.
        """
        return self._keep_secret(
            Call(method="POST", url=f"{self._base}/secret", may_repeat=False), secret_file
        )

    def _keep_secret(self, call: Call, secret_file: Path) -> Document:
        # Tried before it is asked for: the secret is told once, and must not be lost then.
        write_secret(secret_file.with_name(f"{secret_file.name}.new"), b"")
        try:
            answer = self._doors.ask(call)
            secret = answer.get(SECRET)
            if isinstance(secret, str):
                write_secret(secret_file, secret.encode())
        finally:
            secret_file.with_name(f"{secret_file.name}.new").unlink(missing_ok=True)
        return hidden(answer)

    def show(self) -> Document:
        """Return the webhook as it is set."""
        return hidden(self._doors.ask(Call(method="GET", url=self._base)))

    def delete(self) -> Document:
        """Have nothing sent any more."""
        return self._doors.ask(Call(method="DELETE", url=self._base))

    def test(self) -> Document:
        """Have a test event sent, and return what came of it."""
        return self._doors.ask(Call(method="POST", url=f"{self._base}/test", may_repeat=False))

    def deliveries(self, query: dict[str, str]) -> Document:
        """Return what was sent and what was not, the newest first."""
        return self._doors.ask(Call(method="GET", url=f"{self._base}/deliveries", query=query))

    def delivery(self, delivery_id: str) -> Document:
        """Return one delivery with every call made for it."""
        return self._doors.ask(Call(method="GET", url=f"{self._base}/deliveries/{delivery_id}"))

    def replay_one(self, delivery_id: str) -> Document:
        """Have one event sent again; harmless to repeat, since it keeps its id."""
        return self._doors.ask(
            Call(method="POST", url=f"{self._base}/deliveries/{delivery_id}/replay")
        )

    def replay(self, first: str, last: str) -> Document:
        """Have the events of some time sent again, under the same ids."""
        return self._doors.ask(
            Call(method="POST", url=f"{self._base}/replay", json={"from": first, "to": last})
        )


def hidden(document: Document) -> Document:
    """Return a document with its secrets left out."""
    return {
        name: HIDDEN if SECRET in name and isinstance(value, str) else value
        for name, value in document.items()
    }
