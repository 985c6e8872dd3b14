"""Publication makes an invoice readable and payable at a public address, as a PDF fit to print.

It takes `invoice.generated`, `invoice.withdrawn` and `authority.configured`; it checks the biller's
PDF or renders one, stamps the QR code, stores the result and says `invoice.published`, or
`invoice.refused` when the document cannot be shown. After 90 days the files are removed.
"""
