"""What ingestion reads from its environment."""

import socket

from shared.environment import CommonSettings


class Settings(CommonSettings, frozen=True, kw_only=True):
    """Ingestion's settings, beside those of every service."""

    storage_url: str
    """`s3://bucket` or `file:///folder`, shared with publication."""
    s3_endpoint: str = ""
    """Address of an S3 store other than AWS."""
    s3_region: str = ""
    """Region of the S3 store."""
    jwks_url: str
    """Where the gateway publishes its keys."""
    token_issuer: str
    """Issuer that access tokens must name."""
    publication_url: str
    """Address of the publication service, for print files and states."""
    document_maximum_bytes: int = 20_971_520
    """Largest PDF accepted, in bytes."""
    deposit_maximum_bytes: int = 209_715_200
    """Largest deposit accepted, all its parts together, in bytes."""
    instance_name: str = socket.gethostname()
    """Name of this replica, the same after a restart: it takes back its own readings at once."""
    reader_processes: int = 1
    """Number of processes that read large deposits; small ones have one of their own."""
    reader_memory_bytes: int = 1_073_741_824
    """Address space that one such process may take."""
    reader_seconds: int = 600
    """Processor time that one deposit may take."""
    release_interval_seconds: float = 60.0
    """Pause between two looks for held deposits whose day has come."""
