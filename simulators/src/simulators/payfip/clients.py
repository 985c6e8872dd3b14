"""The clients of PayFiP: public bodies, each with its number and the labels payers see."""

from collections.abc import Iterable
from dataclasses import dataclass

NUMBER_LENGTH = 6
MAX_LABELS = 3


class ClientError(Exception):
    """A client is described wrongly on the command line."""


@dataclass(frozen=True, kw_only=True)
class Client:
    """One public body, as its contract with the DGFiP names it."""

    numcli: str
    labels: tuple[str, ...]
    """One to three: `libelleN1`, `libelleN2`, `libelleN3`."""
    is_live: bool = True
    """Whether its activation is over: only then may it take real payments."""

    def __post_init__(self) -> None:
        """Refuse a client that could never ask for a payment.

        Raises:
            ClientError: number not 6 digits, or not one to three labels that say something.
        """
        digits = self.numcli.isascii() and self.numcli.isdigit()
        if not digits or len(self.numcli) != NUMBER_LENGTH:
            message = f"client number {self.numcli!r} is not {NUMBER_LENGTH} digits"
            raise ClientError(message)
        if not 1 <= len(self.labels) <= MAX_LABELS or not all(self.labels):
            message = f"client {self.numcli} has not one to {MAX_LABELS} labels"
            raise ClientError(message)

    def label(self, rank: int) -> str:
        """Return the label of `rank` 1, 2 or 3; empty when there is none."""
        return self.labels[rank - 1] if rank <= len(self.labels) else ""


def read_client_option(text: str, *, is_live: bool) -> Client:
    """Read `NUMCLI:LABEL[:LABEL[:LABEL]]` from the command line.

    Raises:
        ClientError: the text has another shape, or the client is refused.
    """
    numcli, *labels = text.split(":")
    return Client(numcli=numcli, labels=tuple(labels), is_live=is_live)


def index_clients(clients: Iterable[Client]) -> dict[str, Client]:
    """Return the clients by number.

    Raises:
        ClientError: the same number twice.
    """
    found: dict[str, Client] = {}
    for client in clients:
        if client.numcli in found:
            message = f"client {client.numcli} is described twice"
            raise ClientError(message)
        found[client.numcli] = client
    return found
