"""Every event that travels between services: one module for each topic, one table of all."""

from shared.events.authority_configured import AuthorityConfigured
from shared.events.contact_updated import ContactUpdated
from shared.events.event import Event
from shared.events.invoice_appeared import InvoiceAppeared
from shared.events.invoice_disappeared import InvoiceDisappeared
from shared.events.invoice_generated import InvoiceGenerated
from shared.events.invoice_published import InvoicePublished
from shared.events.invoice_refused import InvoiceRefused
from shared.events.invoice_withdrawn import InvoiceWithdrawn
from shared.events.letter_due import LetterDue
from shared.events.payment_captured import PaymentCaptured
from shared.events.payment_reversed import PaymentReversed
from shared.events.reminder_due import ReminderDue

EVENTS: dict[str, type[Event]] = {
    "invoice.generated.v1": InvoiceGenerated,
    "invoice.published.v1": InvoicePublished,
    "invoice.refused.v1": InvoiceRefused,
    "invoice.withdrawn.v1": InvoiceWithdrawn,
    "payment.captured.v1": PaymentCaptured,
    "payment.reversed.v1": PaymentReversed,
    "reminder.due.v1": ReminderDue,
    "contact.updated.v1": ContactUpdated,
    "authority.configured.v1": AuthorityConfigured,
    "invoice.appeared.v1": InvoiceAppeared,
    "invoice.disappeared.v1": InvoiceDisappeared,
    "letter.due.v1": LetterDue,
}
"""CloudEvents type to struct, written out: a wire name is never computed from a class name."""

__all__ = [
    "EVENTS",
    "AuthorityConfigured",
    "ContactUpdated",
    "Event",
    "InvoiceAppeared",
    "InvoiceDisappeared",
    "InvoiceGenerated",
    "InvoicePublished",
    "InvoiceRefused",
    "InvoiceWithdrawn",
    "LetterDue",
    "PaymentCaptured",
    "PaymentReversed",
    "ReminderDue",
]
