"""Which addresses of strangers are called: public ones, written in one way only."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.addresses import (
    ForbiddenUrlError,
    Rule,
    Target,
    is_public,
    read_url,
    require_callable,
)

PUBLIC = Rule()
PRIVATE = Rule(allows_private=True)

NOT_PUBLIC = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:93.184.216.34",
    "::ffff:0:7f00:1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::a00:1",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "3fff::1",
    "fc00::1",
    "fd12:3456:789a::1",
    "fe80::1",
    "fe80::1%eth0",
    "2a01:e0a::1%eth0",
    "fec0::1",
    "ff02::1",
    "localhost",
    "",
]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_not_called(address: str) -> None:
    """Loopback, private, shared, link-local, unique local, multicast, and IPv4 in disguise."""
    assert not is_public(address)
    with pytest.raises(ForbiddenUrlError):
        require_callable([address], PUBLIC)


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "8.8.8.8", "172.32.0.1", "2606:2800:220:1::1", "2a01:e0a::1"]
)
def test_a_public_address_is_called(address: str) -> None:
    """What the internet routes."""
    assert is_public(address)
    require_callable([address], PUBLIC)


@given(st.ip_addresses())
def test_nothing_is_called_that_the_standard_library_finds_private(
    address: IPv4Address | IPv6Address,
) -> None:
    """Our ranges are at least those of Python's `ipaddress`."""
    if is_public(str(address)):
        assert address.is_global
        assert not address.is_multicast


@given(st.ip_addresses(v=4))
def test_no_address_of_version_4_hides_in_one_of_version_6(address: IPv4Address) -> None:
    """Mapped, compatible, NAT64 and 6to4 forms are refused, whatever is inside."""
    forms = [
        f"::ffff:{address}",
        f"::{address}",
        f"64:ff9b::{address}",
        str(IPv6Address(0x2002 << 112 | int(address) << 80)),
    ]

    assert not any(is_public(form) for form in forms)


def test_one_bad_answer_among_good_ones_is_a_trap() -> None:
    """A name that leads to a public and to a private address is refused, and so is an empty one."""
    with pytest.raises(ForbiddenUrlError):
        require_callable(["93.184.216.34", "10.0.0.1"], PUBLIC)
    with pytest.raises(ForbiddenUrlError):
        require_callable([], PUBLIC)


@pytest.mark.parametrize(
    "url",
    [
        "http://biller.example.fr/hook",
        "ftp://biller.example.fr/hook",
        "file:///etc/passwd",
        "https://",
        "https:///hook",
        "//biller.example.fr",
        "https://user@biller.example.fr/",
        "https://user:word@biller.example.fr/",
        "https://biller.example.fr@127.0.0.1/",
        "https://biller.example.fr\\@127.0.0.1/",
        "https://biller.example.fr#@127.0.0.1/",
        "https://biller.example.fr/#part",
        "https://biller.example.fr:22/",
        "https://biller.example.fr:6379/",
        "https://biller.example.fr:99999/",
        "https://biller.example.fr:/",
        "https://biller..example.fr/",
        "https://-biller.example.fr/",
        "https://biller_1.example.fr/",
        "https://bill%65r.example.fr/",
        "https://éditeur.example.fr/",
        "https://biller.example.fr/é",
        "https://biller.example.fr/a b",
        "https://biller.example.fr/\r\nHost: x",
        " https://biller.example.fr/",
        "https://biller.example.fr/\n",
        "https://127.0.0.1/",
        "https://127.0.0.1./",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.0.0.1/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://127.0.1/",
        "https://１２７.0.0.1/",
        "https://256.256.256.256/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[fe80::1%25eth0]/",
        "https://[fd00::1]/",
        "https://[::1/",
        "https://[:::1]/",
        "https://" + "a." * 200 + "fr/",
        "https://biller.example.fr/" + "a" * 2000,
        "",
    ],
)
def test_a_url_that_could_lead_elsewhere_is_refused(url: str) -> None:
    """One grammar: https, a name or a whole public address, a web port, ASCII, no user."""
    with pytest.raises(ForbiddenUrlError):
        read_url(url, PUBLIC)


@pytest.mark.parametrize(
    ("url", "host", "port", "is_literal"),
    [
        ("https://Biller.example.fr/hook?a=1&b=%20", "biller.example.fr", 443, False),
        ("https://biller.example.fr.", "biller.example.fr", 443, False),
        ("https://biller.example.fr:8443/", "biller.example.fr", 8443, False),
        ("https://xn--diteur-9ua.example.fr/", "xn--diteur-9ua.example.fr", 443, False),
        ("https://93.184.216.34/", "93.184.216.34", 443, True),
        ("https://[2606:2800:220:1::1]/", "[2606:2800:220:1::1]", 443, True),
    ],
)
def test_reads_where_a_url_leads(url: str, host: str, port: int, *, is_literal: bool) -> None:
    """Host in lower case without its last dot, port of the scheme unless one is named."""
    expected = Target(scheme="https", host=host, port=port, is_literal=is_literal)

    assert expected == read_url(url, PUBLIC)


def test_a_demo_may_call_this_machine_in_clear() -> None:
    """In clear only to loopback; a private host elsewhere still needs https."""
    assert read_url("http://127.0.0.1:8080/hook", PRIVATE).port == 8080
    assert read_url("http://localhost:8080/hook", PRIVATE).host == "localhost"
    assert read_url("http://[::1]:8080/", PRIVATE).is_literal
    assert read_url("https://10.0.0.1:9443/", PRIVATE).port == 9443
    for url in ("http://10.0.0.1/", "http://biller.example.fr/", "http://127.0.0.1:0/"):
        with pytest.raises(ForbiddenUrlError):
            read_url(url, PRIVATE)


def test_a_deployment_may_name_the_hosts_that_are_called() -> None:
    """A name stands for itself, one that begins with a dot for all below it."""
    rule = Rule(allowed_hosts=("biller.example.fr", ".editeur.example"))

    assert read_url("https://biller.example.fr/", rule).host == "biller.example.fr"
    assert read_url("https://a.b.editeur.example/", rule).host == "a.b.editeur.example"
    for host in ("editeur.example", "xbiller.example.fr", "a.biller.example.fr", "93.184.216.34"):
        with pytest.raises(ForbiddenUrlError):
            read_url(f"https://{host}/", rule)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text makes the reader fail otherwise, and what it reads is a host it may call."""
    try:
        target = read_url("https://" + text, PUBLIC)
    except ForbiddenUrlError:
        return

    assert target.host.isascii()
    assert not target.is_literal or ip_address(target.host.strip("[]")).is_global
