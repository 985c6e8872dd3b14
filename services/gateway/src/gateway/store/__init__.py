"""All the SQL of the gateway: one module for each thing that it keeps."""

from datetime import datetime

from gateway.store.accounts import PostgresAccounts
from gateway.store.delegations import PostgresDelegations
from gateway.store.documents import PostgresDocuments
from gateway.store.factors import PostgresFactors
from gateway.store.identities import PostgresIdentities
from gateway.store.invitations import PostgresInvitations
from gateway.store.invoices import PostgresInvoices
from gateway.store.looks import PostgresLooks
from gateway.store.matches import PostgresMatches
from gateway.store.months import PostgresMonths
from gateway.store.paper import PostgresPaper
from gateway.store.people import Person, PostgresPeople
from gateway.store.personal_data import PostgresPersonalData
from gateway.store.preferences import PostgresPreferences
from gateway.store.retrieval import PostgresRetrieval
from gateway.store.sessions import PostgresSessions
from gateway.store.visitors import PostgresVisitors, digest


class PostgresPortal(
    PostgresAccounts,
    PostgresDelegations,
    PostgresDocuments,
    PostgresFactors,
    PostgresIdentities,
    PostgresInvitations,
    PostgresInvoices,
    PostgresLooks,
    PostgresMatches,
    PostgresMonths,
    PostgresPaper,
    PostgresPersonalData,
    PostgresPreferences,
    PostgresRetrieval,
    PostgresSessions,
    PostgresVisitors,
):
    """All that pages and handlers keep; see `ports.Portal` and `ports.ReadModel`."""

    async def tidy_all(self, now: datetime) -> int:
        """Drop what nobody needs any more, in every room; return how many rows."""
        rooms = (
            self.tidy,
            self.tidy_accounts,
            self.tidy_factors,
            self.tidy_browsers,
            self.tidy_journeys,
            self.tidy_openings,
            self.tidy_invitations,
            self.tidy_paper,
        )
        return sum([await tidy_room(now) for tidy_room in rooms])


__all__ = ["Person", "PostgresPeople", "PostgresPortal", "digest"]
