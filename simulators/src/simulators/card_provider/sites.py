"""The shops (sites) known to the provider: number, keys, where to send notices."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from simulators.card_provider.signature import SignatureAlgorithm

SITE_ID_LENGTH = 8


class SiteError(Exception):
    """A shop is described wrongly on the command line or in the JSON file."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """One shop, as set in the provider's back office."""

    site_id: str
    name: str
    key_test: str
    key_production: str | None = None
    notify_url: str | None = None
    algorithm: SignatureAlgorithm = SignatureAlgorithm.HMAC_SHA256

    def __post_init__(self) -> None:
        """Refuse a shop that could never take a payment.

        Raises:
            SiteError: site number not 8 digits, empty key, or notice address not http(s).
        """
        digits = self.site_id.isascii() and self.site_id.isdigit()
        if not digits or len(self.site_id) != SITE_ID_LENGTH:
            message = f"site id {self.site_id!r} is not {SITE_ID_LENGTH} digits"
            raise SiteError(message)
        if not self.key_test:
            message = f"site {self.site_id} has no TEST key"
            raise SiteError(message)
        if self.notify_url is not None and not is_web_address(self.notify_url):
            message = f"site {self.site_id}: {self.notify_url!r} is not an http(s) address"
            raise SiteError(message)

    def key_for(self, mode: str) -> str | None:
        """Return the key of `mode` (TEST or PRODUCTION); None when the shop has none yet."""
        return self.key_production if mode == "PRODUCTION" else self.key_test


def is_web_address(text: str) -> bool:
    """Say whether `text` is an absolute http or https address."""
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def read_site_option(text: str) -> Site:
    """Read `ID:KEY[:NOTIFY_URL]` from the command line; the key is the TEST key.

    Raises:
        SiteError: the text has another shape, or the shop is refused.
    """
    site_id, _, rest = text.partition(":")
    key, _, notify_url = rest.partition(":")
    return Site(
        site_id=site_id,
        name=f"Boutique {site_id}",
        key_test=key,
        notify_url=notify_url or None,
    )


def read_sites_file(path: Path) -> list[Site]:
    """Read `{"sites": [{"site_id", "key_test", …}]}` from a JSON file.

    Raises:
        SiteError: the file is not readable, not JSON, or describes a shop wrongly.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        message = f"{path}: {error}"
        raise SiteError(message) from error
    described = content.get("sites") if isinstance(content, dict) else None
    if not isinstance(described, list):
        message = f"{path}: no list called sites"
        raise SiteError(message)
    return [_read_site(entry) for entry in described]


def index_sites(sites: Iterable[Site]) -> dict[str, Site]:
    """Return the shops by number.

    Raises:
        SiteError: the same number twice.
    """
    found: dict[str, Site] = {}
    for site in sites:
        if site.site_id in found:
            message = f"site {site.site_id} is described twice"
            raise SiteError(message)
        found[site.site_id] = site
    return found


_TEXT_FIELDS = ("name", "key_test", "key_production", "notify_url", "signature_algorithm")


def _read_site(entry: object) -> Site:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("site_id"), str):
        message = "a site is not an object with a text site_id"
        raise SiteError(message)
    site_id = entry["site_id"]
    unknown = sorted(set(entry) - {"site_id", *_TEXT_FIELDS})
    if unknown:
        message = f"site {site_id}: unknown field {unknown[0]}"
        raise SiteError(message)
    for name in _TEXT_FIELDS:
        if not isinstance(entry.get(name, ""), str):
            message = f"site {site_id}: {name} is not a text"
            raise SiteError(message)
    try:
        algorithm = SignatureAlgorithm(entry.get("signature_algorithm", "hmac_sha256"))
    except ValueError as error:
        message = f"site {site_id}: {error}"
        raise SiteError(message) from error
    return Site(
        site_id=site_id,
        name=entry.get("name") or f"Boutique {site_id}",
        key_test=entry.get("key_test", ""),
        key_production=entry.get("key_production") or None,
        notify_url=entry.get("notify_url") or None,
        algorithm=algorithm,
    )
