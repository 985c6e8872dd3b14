"""How shops are described to the provider."""

import json
from pathlib import Path

import pytest

from simulators.card_provider.signature import SignatureAlgorithm
from simulators.card_provider.sites import (
    SiteError,
    index_sites,
    read_site_option,
    read_sites_file,
)


def test_reads_a_shop_with_its_notice_address_from_the_command_line() -> None:
    """The address keeps its own colons."""
    site = read_site_option("12345678:secret:http://127.0.0.1:8080/notify")

    assert (site.site_id, site.key_test) == ("12345678", "secret")
    assert site.notify_url == "http://127.0.0.1:8080/notify"


def test_reads_a_shop_without_a_notice_address() -> None:
    """The form then names it."""
    assert read_site_option("12345678:secret").notify_url is None


@pytest.mark.parametrize(
    "text",
    ["", "1234567:secret", "1234567é:secret", "12345678", "12345678:", "12345678:secret:nowhere"],
)
def test_refuses_a_shop_that_could_not_take_a_payment(text: str) -> None:
    """Number of 8 digits, a key, and an http address."""
    with pytest.raises(SiteError):
        read_site_option(text)


def test_reads_shops_from_a_file(tmp_path: Path) -> None:
    """A file may give both keys and the algorithm."""
    path = tmp_path / "sites.json"
    entry = {
        "site_id": "12345678",
        "name": "Cantine",
        "key_test": "t",
        "key_production": "p",
        "signature_algorithm": "sha1",
    }
    path.write_text(json.dumps({"sites": [entry]}), "utf-8")

    (site,) = read_sites_file(path)

    assert (site.name, site.key_for("TEST"), site.key_for("PRODUCTION")) == ("Cantine", "t", "p")
    assert site.algorithm is SignatureAlgorithm.SHA1


@pytest.mark.parametrize(
    "content",
    [
        "not json",
        "[]",
        '{"sites": {}}',
        '{"sites": [1]}',
        '{"sites": [{"site_id": 12345678, "key_test": "t"}]}',
        '{"sites": [{"site_id": "12345678", "key_test": 1}]}',
        '{"sites": [{"site_id": "12345678", "key_test": "t", "colour": "red"}]}',
        '{"sites": [{"site_id": "12345678", "key_test": "t", "signature_algorithm": "md5"}]}',
    ],
)
def test_refuses_a_file_that_describes_a_shop_wrongly(content: str, tmp_path: Path) -> None:
    """A mistake in the file is said at the start, not at the first payment."""
    path = tmp_path / "sites.json"
    path.write_text(content, "utf-8")

    with pytest.raises(SiteError):
        read_sites_file(path)


def test_refuses_the_same_shop_twice() -> None:
    """Two keys for one number cannot both be right."""
    site = read_site_option("12345678:secret")

    with pytest.raises(SiteError):
        index_sites([site, site])
