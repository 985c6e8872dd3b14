"""Reconciliation keeps the books: what was issued, taken, given back, and who is to be reminded.

It posts `invoice.published`, `invoice.withdrawn`, `payment.captured` and `payment.reversed` in
double entry, serves billers the feed of collections, says `reminder.due`, and shows live figures
that are rebuilt from the topics whenever they are lost.
"""
