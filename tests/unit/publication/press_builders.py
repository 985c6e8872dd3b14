"""What the tests of the press build."""

from datetime import UTC, date, datetime
from uuid import UUID

from publication.ports import Claim
from shared.envelope import Message
from shared.events import InvoiceGenerated
from shared.events.invoice_generated import Payer

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def a_claim(*, number: int = 1, attempts: int = 1, token: str = "a" * 22) -> Claim:
    invoice = InvoiceGenerated(
        invoice_id=UUID(int=number),
        version=1,
        deposit_id=UUID(int=2),
        authority="town",
        authority_name="Ville d’Été",
        regie="R",
        regie_label="Cantine",
        number=f"2026-{number}",
        kind="invoice",
        route="regie",
        subject="Repas",
        issued_on=date(2026, 11, 1),
        due_on=date(2026, 12, 1),
        amount_cents=4100,
        currency="EUR",
        payer=Payer(reference="F", name="Élise"),
        generated_at=NOW,
    )
    cause = Message(
        id=str(number),
        source="/quittance/ingestion",
        type=invoice.TYPE,
        subject=invoice.key,
        time=NOW,
        traceparent="00-" + "1" * 32 + "-" + "1" * 16 + "-01",
        causation_id=None,
        data=invoice,
    )
    return Claim(request=invoice, cause=cause, token=token, attempts=attempts)
