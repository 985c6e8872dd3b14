"""What reconciliation reads from its environment."""

from shared.environment import CommonSettings


class Settings(CommonSettings, frozen=True, kw_only=True):
    """Reconciliation's settings, beside those of every service."""

    jwks_url: str
    """Where the gateway publishes its keys."""
    token_issuer: str
    """Issuer that access tokens must name."""
    reminder_interval_seconds: float = 300.0
    """Pause between two looks for reminders that are due."""
    reminder_after_days: int = 15
    """Days after the due date for a régie that did not set its own."""


class FiguresSettings(Settings, frozen=True, kw_only=True):
    """Settings of the live figures' own process, beside those of the service."""

    figures_http_port: int
    """Port of the figures' HTTP views."""
    figures_data_dir: str
    """Folder of the tables; losing it costs a rebuild."""
    figures_partitions: int = 3
    """Partitions of the source topics, which the tables' changelogs must match."""
    figures_rebalance_seconds: int = 60
    """Time that a worker gets to come back when the group is shared anew."""
    figures_replication: int = 1
    """Replicas of the tables' changelogs."""
