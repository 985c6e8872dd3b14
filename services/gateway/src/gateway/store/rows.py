"""What every room of the store works on: one transaction."""

from datetime import datetime

from shared.events import Event
from shared.postgres import Transaction


class Rows:
    """Tables and outbox within one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        """Work within `transaction`."""
        self._transaction = transaction
        self._connection = transaction.connection

    async def publish(self, *events: Event) -> None:
        """Tell facts to the other services, together with what the transaction changes."""
        await self._transaction.publish(events)

    def now(self) -> datetime:
        """Return the time, as the clock of the transaction tells it."""
        return self._transaction.clock.now()
