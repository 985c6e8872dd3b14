"""Notification, played for the gateway's tests: the devices of accounts."""

from datetime import UTC, datetime
from uuid import UUID

from gateway.ports import Device, RefusedError, ServiceUnavailableError, Subscription

PUSH_KEY = "BA1Hxzyi1RUM1b5wjxsn7nGxAszw2u61m164i3MrAIxHF6YK5h4SDYic-dRuU_RCPCfA5aq9ojSwk5Y2EmClBPs"
ADDED_AT = datetime(2026, 11, 24, 13, 5, tzinfo=UTC)


class FakeNotifications:
    """Keeps devices under their accounts, and answers 404 for those of anybody else."""

    def __init__(self) -> None:
        self.is_down = False
        self.refusal: RefusedError | None = None
        self.kept: dict[UUID, dict[UUID, Subscription]] = {}
        self.tested: list[UUID] = []

    async def push_key(self) -> str:
        self._answer()
        return PUSH_KEY

    async def devices(self, account_id: UUID) -> list[Device]:
        self._answer()
        return [
            Device(device_id=device_id, label=subscription.label, created_at=ADDED_AT)
            for device_id, subscription in self.kept.get(account_id, {}).items()
        ]

    async def keep_device(
        self, account_id: UUID, device_id: UUID, subscription: Subscription
    ) -> None:
        self._answer()
        self.kept.setdefault(account_id, {})[device_id] = subscription

    async def remove_device(self, account_id: UUID, device_id: UUID) -> None:
        self._answer()
        self._require(account_id, device_id)
        del self.kept[account_id][device_id]

    async def test_device(self, account_id: UUID, device_id: UUID) -> None:
        self._answer()
        self._require(account_id, device_id)
        self.tested.append(device_id)

    def _require(self, account_id: UUID, device_id: UUID) -> None:
        if device_id not in self.kept.get(account_id, {}):
            raise RefusedError(404, {"code": "unknown-device"})

    def _answer(self) -> None:
        if self.is_down:
            raise ServiceUnavailableError
        if self.refusal is not None:
            raise self.refusal
