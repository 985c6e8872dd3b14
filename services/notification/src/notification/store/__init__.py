"""All the SQL of notification."""

from notification.store.devices import PostgresDevices
from notification.store.letters import PostgresDeliveries
from notification.store.office import PostgresOffice
from notification.store.past import forget_ended
from notification.store.pushes import PostgresPushes

__all__ = [
    "PostgresDeliveries",
    "PostgresDevices",
    "PostgresOffice",
    "PostgresPushes",
    "forget_ended",
]
