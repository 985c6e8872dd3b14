"""What reconciliation reads from its environment."""

from shared.environment import CommonSettings


class TokenSettings(CommonSettings, frozen=True, kw_only=True):
    """What both processes need to know a caller."""

    jwks_url: str
    """Where the gateway publishes its keys."""
    token_issuer: str
    """Issuer that access tokens must name."""


class Settings(TokenSettings, frozen=True, kw_only=True):
    """Reconciliation's settings, beside those of every service."""

    reminder_interval_seconds: float = 300.0
    """Pause between two looks for reminders that are due."""
    reminder_after_days: int = 15
    """Days after the due date for a régie that did not set its own."""
    storage_url: str
    """`s3://bucket` or `file:///folder`, where the files of closed days are kept."""
    s3_endpoint: str = ""
    """Address of an S3 store other than AWS."""
    s3_region: str = ""
    """Region of the S3 store."""
    closing_grace_seconds: float = 900.0
    """Time after midnight in Paris at which the day before is closed."""
    closing_interval_seconds: float = 60.0
    """Pause between two looks for days that are over."""
    webhook_key: str
    """Fernet keys that seal billers' secrets, separated by commas, the newest first."""
    webhook_allow_private: bool = False
    """Whether private addresses, and http to loopback, may be called: in a demo or a test only."""
    webhook_allowed_hosts: str = ""
    """The only hosts that may be called, separated by commas; `.example.fr` is all below it."""
    webhook_calls: int = 64
    """Calls under way at once to endpoints that answer; half as many to those that struggle."""


class FiguresSettings(TokenSettings, frozen=True, kw_only=True):
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
