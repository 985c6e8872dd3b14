"""Money went back."""

from collections.abc import Sequence

from gateway.ports import Movement, ReadModel
from shared.envelope import Message
from shared.events import PaymentReversed


async def on_payment_reversed(
    messages: Sequence[Message[PaymentReversed]], portal: ReadModel
) -> None:
    """Take it off each invoice it had paid."""
    await portal.keep_movements(
        [
            Movement(
                fact=f"reversed:{reversal.reversal_id}:{part.invoice_id}",
                invoice_id=part.invoice_id,
                payment_id=reversal.payment_id,
                amount_cents=-part.amount_cents,
                means=reversal.means,
                occurred_at=reversal.reversed_at,
            )
            for reversal in (message.data for message in messages)
            for part in reversal.allocations
        ]
    )
