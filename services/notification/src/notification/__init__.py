"""Notification tells people by e-mail, in French, once for each fact.

It takes `invoice.published`, `payment.captured`, `payment.reversed`, `reminder.due` and
`contact.updated`, and sends nothing to Kafka: the flow ends at the mail server. A fact that comes
before its invoice waits for it; an invoice without an address gets no mail (it goes on paper).
"""
