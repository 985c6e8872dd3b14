"""Notification tells people by e-mail and on their telephones, once for each fact.

It takes `invoice.published`, `invoice.appeared`, `invoice.disappeared`, `payment.captured`,
`payment.reversed`, `reminder.due`, `letter.due` and `contact.updated`, and sends nothing to Kafka:
the flow ends at the mail server and at push services. A fact that comes before its invoice waits
for it; an invoice without an address gets no mail (it goes on paper).
"""
