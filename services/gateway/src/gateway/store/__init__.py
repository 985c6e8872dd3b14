"""All the SQL of the gateway: one module for each thing that it keeps."""

from gateway.store.invoices import PostgresInvoices
from gateway.store.people import Person, PostgresPeople
from gateway.store.visitors import PostgresVisitors, digest


class PostgresPortal(PostgresInvoices, PostgresVisitors):
    """All that pages and handlers keep; see `ports.Portal` and `ports.ReadModel`."""


__all__ = ["Person", "PostgresPeople", "PostgresPortal", "digest"]
