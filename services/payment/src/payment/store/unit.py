"""One transaction of this service."""

from collections.abc import Sequence

from payment.store.attempts import PostgresAttempts
from payment.store.invoices import PostgresInvoices
from payment.store.notices import PostgresNotices
from payment.store.polls import PostgresPolls
from shared.events import Event
from shared.postgres import Transaction


class PostgresUnit:
    """Everything that commits together; see `ports.Unit`."""

    def __init__(self, transaction: Transaction) -> None:
        """Work within `transaction`."""
        self.invoices = PostgresInvoices(transaction.connection)
        self.attempts = PostgresAttempts(transaction.connection)
        self.notices = PostgresNotices(transaction.connection)
        self.polls = PostgresPolls(transaction.connection)
        self._transaction = transaction

    async def publish(self, events: Sequence[Event]) -> None:
        """Add events to the outbox."""
        await self._transaction.publish(events)
