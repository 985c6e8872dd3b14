"""Ingestion takes invoices from the billing application and answers for each line.

Deposits come over HTTP; each line is created, unchanged, superseded or rejected with a code and a
pointer. What is new becomes `invoice.generated`; what is taken back, `invoice.withdrawn`. It learns
the régies from `authority.configured` and late refusals of a document from `invoice.refused`.
"""
