"""A biller takes an invoice back."""

from uuid import UUID

import msgspec

from ingestion.ports import OpenUnit
from shared.clock import Clock
from shared.events import InvoiceWithdrawn


async def withdraw_invoice(
    invoice_id: UUID, reason: str, open_unit: OpenUnit, clock: Clock
) -> None:
    """Withdraw the version that is held; an invoice withdrawn before stays so, with its reason."""
    async with open_unit() as unit:
        held = await unit.invoices.find(invoice_id, lock=True)
        if held is None or held.state == "withdrawn":
            return
        now = clock.now()
        await unit.invoices.replace(
            [msgspec.structs.replace(held, state="withdrawn", reason=reason, changed_at=now)]
        )
        await unit.publish(
            [
                InvoiceWithdrawn(
                    invoice_id=held.invoice_id,
                    version=held.version,
                    authority=held.authority,
                    regie=held.regie,
                    number=held.number,
                    reason=reason,
                    withdrawn_at=now,
                )
            ]
        )
