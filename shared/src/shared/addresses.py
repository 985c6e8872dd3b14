"""Where a stranger's address may lead us: to the public internet, never back into our network.

OWASP ASVS 1.3.6; the ranges are IANA's special-purpose registries.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import msgspec

from shared.errors import DomainError

MAXIMUM_LENGTH = 2000
PORTS = frozenset({443, 8443})
"""Ports that are called outside: those of web servers, not of databases or mail servers."""

# One grammar, narrower than that of any library, so that no two of them read an address
# differently: no user, no fragment, no escape in the host, nothing beyond ASCII.
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<rest>(?:/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?(?:\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?)"
)
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
# `2130706433`, `0x7f000001` and `127.1` are addresses to some resolvers and names to others: a host
# whose last label is a number is an address (URL standard), and must be a whole one.
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")

_IPV4_REFUSED = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by a provider's clients
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, metadata of clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
# Only this block is given out as global unicast: loopback, mapped IPv4, NAT64, unique local,
# link-local, site-local and multicast all lie outside of it.
_IPV6_GLOBAL = IPv6Network("2000::/3")
_IPV6_REFUSED = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, Teredo
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address inside
        "3fff::/20",  # documentation
    )
)


class ForbiddenUrlError(DomainError):
    """The address is none that we call; the sentence is for the biller."""

    slug = "forbidden-url"


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where a URL leads."""

    scheme: str
    host: str
    port: int
    is_literal: bool
    """Whether the host is an address itself: there is no name to resolve."""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """What a deployment allows."""

    allows_private: bool = False
    """Also loopback and private addresses, and http to loopback: for a demo and for tests."""
    allowed_hosts: tuple[str, ...] = ()
    """If any: the only hosts; `.example.fr` stands for every name below it."""


def read_url(url: str, rule: Rule) -> Target:
    """Return where a URL leads, as far as its text tells.

    Raises:
        ForbiddenUrlError: it is not one that `rule` lets us call.
    """
    match = _URL.fullmatch(url) if len(url) <= MAXIMUM_LENGTH else None
    if match is None:
        reason = "L’adresse doit être de la forme https://hôte/chemin, en ASCII, sans identifiant."
        raise ForbiddenUrlError(reason)
    host = match["host"].lower().removesuffix(".")
    address = _literal(host)
    scheme = match["scheme"]
    port = int(match["port"] or (443 if scheme == "https" else 80))
    if scheme != "https" and not (rule.allows_private and _is_loopback(host, address)):
        reason = "L’adresse doit commencer par https://."
        raise ForbiddenUrlError(reason)
    if not rule.allows_private and port not in PORTS:
        reason = "Seuls les ports 443 et 8443 sont appelés."
        raise ForbiddenUrlError(reason)
    if not 1 <= port <= 65535:
        reason = "Ce port n’existe pas."
        raise ForbiddenUrlError(reason)
    if rule.allowed_hosts and not _is_listed(host, rule.allowed_hosts):
        reason = "Cet hôte n’est pas dans la liste des hôtes permis."
        raise ForbiddenUrlError(reason)
    if address is not None:
        require_callable([str(address)], rule)
    return Target(scheme=scheme, host=host, port=port, is_literal=address is not None)


def require_callable(addresses: Sequence[str], rule: Rule) -> None:
    """Return if every address may be called: one bad among good ones is a trap.

    Raises:
        ForbiddenUrlError: one may not, or there is none.
    """
    if addresses and (rule.allows_private or all(is_public(address) for address in addresses)):
        return
    reason = "L’hôte ne mène pas à une adresse publique."
    raise ForbiddenUrlError(reason)


def is_public(address: str) -> bool:
    """Tell whether an IP address belongs to the public internet and hides no other one."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv4Address):
        return not any(parsed in network for network in _IPV4_REFUSED)
    # A zone names an interface of this machine.
    is_global = parsed in _IPV6_GLOBAL and parsed.scope_id is None
    return is_global and not any(parsed in network for network in _IPV6_REFUSED)


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    """Return the address that a host is, or None for a name.

    Raises:
        ForbiddenUrlError: it is neither.
    """
    try:
        if host.startswith("["):
            return IPv6Address(host[1:-1])
        labels = host.split(".")
        if _NUMBER.fullmatch(labels[-1]):
            return IPv4Address(host)
    except ValueError as error:
        reason = "L’hôte n’est ni un nom ni une adresse IP écrite en entier."
        raise ForbiddenUrlError(reason) from error
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        reason = "L’hôte n’est pas un nom de domaine."
        raise ForbiddenUrlError(reason)
    return None


def _is_loopback(host: str, address: IPv4Address | IPv6Address | None) -> bool:
    return address.is_loopback if address is not None else host == "localhost"


def _is_listed(host: str, allowed: Sequence[str]) -> bool:
    return any(
        host == entry or (entry.startswith(".") and host.endswith(entry)) for entry in allowed
    )
