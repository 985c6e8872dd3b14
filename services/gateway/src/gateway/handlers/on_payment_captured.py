"""Money came in."""

from collections.abc import Sequence

from gateway.ports import Movement, ReadModel
from shared.envelope import Message
from shared.events import PaymentCaptured


async def on_payment_captured(
    messages: Sequence[Message[PaymentCaptured]], portal: ReadModel
) -> None:
    """Show it on each invoice it pays, known already or not."""
    await portal.keep_movements(
        [
            Movement(
                fact=f"captured:{payment.payment_id}:{part.invoice_id}",
                invoice_id=part.invoice_id,
                payment_id=payment.payment_id,
                amount_cents=part.amount_cents,
                means=payment.means,
                occurred_at=payment.captured_at,
            )
            for payment in (message.data for message in messages)
            for part in payment.allocations
        ]
    )
