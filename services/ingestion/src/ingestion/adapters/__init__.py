"""The formats in which billers hand over invoices, each read into the same drafts."""
