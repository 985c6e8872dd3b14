"""The devices of accounts: registered, listed, forgotten, tried."""

from uuid import UUID, uuid4

from notification.domain import Device, DeviceName, trial_push
from notification.ports import AccountClosedError, TooManyDevicesError
from notification.store.contacts import HOLD_ACCOUNTS, PostgresContacts
from notification.store.rows import DEVICES, devices_of
from shared import trace
from shared.postgres import Database

# Two registrations for one account wait for each other: together they must not pass the limit.
LOCK_ACCOUNT = """
SELECT updated_at IS NOT NULL AND email IS NULL AS is_closed FROM contact
WHERE account_id = $1 FOR UPDATE
"""
# An endpoint is one browser: whoever registers it last is its reader.
TAKE_ENDPOINT = """
DELETE FROM device WHERE endpoint = $1 AND (account_id, device_id) <> ($2, $3)
"""
COUNT_OTHERS = "SELECT count(*) FROM device WHERE account_id = $1 AND device_id <> $2"
# A browser that renews its subscription keeps its name; the day it was first registered stays.
REGISTER = """
INSERT INTO device (account_id, device_id, endpoint, host, p256dh, auth, label, language,
                    registered_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (account_id, device_id) DO UPDATE SET endpoint = EXCLUDED.endpoint,
    host = EXCLUDED.host, p256dh = EXCLUDED.p256dh, auth = EXCLUDED.auth, label = EXCLUDED.label,
    language = EXCLUDED.language
"""
# Known already, perhaps paused: it stays as it is.
KEEP_HOST = "INSERT INTO push_host (host) VALUES ($1) ON CONFLICT DO NOTHING"
REMOVE = "DELETE FROM device WHERE account_id = $1 AND device_id = $2 RETURNING device_id"


class PostgresDevices:
    """The devices of accounts; see `ports.Devices`."""

    def __init__(self, database: Database) -> None:
        """Keep them in `database`."""
        self._database = database

    async def register(self, device: Device, *, at_most: int) -> None:
        """Keep a device in place of an earlier one of its name; its endpoint moves with it.

        Raises:
            TooManyDevicesError: it would be one more than `at_most`.
            AccountClosedError: the account is closed.
        """
        async with self._database.transaction() as transaction:
            connection = transaction.connection
            await connection.execute(HOLD_ACCOUNTS, [device.account_id])
            if await connection.fetchval(LOCK_ACCOUNT, device.account_id):
                message = "Ce compte est fermé."
                raise AccountClosedError(message)
            await connection.execute(TAKE_ENDPOINT, device.endpoint, *device.name)
            others = await connection.fetchval(COUNT_OTHERS, *device.name)
            if others is not None and others >= at_most:
                message = f"Un compte a {at_most} appareils au plus : retirez-en un d’abord."
                raise TooManyDevicesError(message)
            await connection.execute(KEEP_HOST, device.host)
            await connection.execute(
                REGISTER,
                *device.name,
                device.endpoint,
                device.host,
                device.p256dh,
                device.auth,
                device.label,
                device.language,
                device.registered_at,
            )

    async def of_account(self, account_id: UUID) -> list[Device]:
        """Return the devices of an account, the oldest first."""
        async with self._database.reading() as connection:
            return devices_of(await connection.fetch(DEVICES, [account_id]))

    async def remove(self, name: DeviceName) -> bool:
        """Forget a device; return whether there was one."""
        async with self._database.transaction() as transaction:
            return await transaction.connection.fetchval(REMOVE, *name) is not None

    async def try_out(self, name: DeviceName) -> bool:
        """Have a push sent to a device for trial; return whether there is one."""
        traceparent = trace.current.get() or trace.start()
        async with self._database.transaction() as transaction:
            office = PostgresContacts(transaction.connection, transaction.clock.now())
            devices = await office.devices([name[0]])
            pushes = [
                trial_push(device, str(uuid4()), traceparent)
                for device in devices
                if device.name == name
            ]
            await office.add_pushes(pushes)
        self._database.work_added.set()
        return bool(pushes)
