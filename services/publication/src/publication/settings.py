"""What publication reads from its environment."""

import socket

from shared.environment import CommonSettings


class Settings(CommonSettings, frozen=True, kw_only=True):
    """Publication's settings, beside those of every service."""

    storage_url: str
    """`s3://bucket` or `file:///folder`, shared with ingestion."""
    s3_endpoint: str = ""
    """Address of an S3 store other than AWS."""
    s3_region: str = ""
    """Region of the S3 store."""
    public_url: str
    """Address of the portal, at the start of every QR code."""
    jwks_url: str
    """Where the gateway publishes its keys."""
    token_issuer: str
    """Issuer that access tokens must name."""
    instance_name: str = socket.gethostname()
    """Name of this replica, the same after a restart: it takes back its own claims at once."""
    paper_processes: int = 2
    """Number of processes that open and stamp PDFs."""
    paper_memory_bytes: int = 1_073_741_824
    """Address space that one such process may take."""
    paper_seconds: int = 20
    """Processor time that one PDF may take."""
    document_maximum_bytes: int = 20_971_520
    """Largest PDF accepted, in bytes."""
    document_maximum_pages: int = 100
    """Largest number of pages accepted."""
    rendered_sample: float = 0.01
    """Share of stamped pages that are rendered and read again, beyond the first of each layout."""
    readable_days: int = 90
    """Days during which a published PDF stays readable."""
    purge_interval_seconds: float = 600.0
    """Pause between two purges."""
