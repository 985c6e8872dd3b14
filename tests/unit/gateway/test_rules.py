"""Small rules of the portal: status, safe addresses, the demo's file."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import date
from typing import Any
from uuid import UUID

import msgspec
import pytest

from demo.configuration import Secrets, town
from gateway.api.site import safe_path
from gateway.app import site_of_settings
from gateway.ports import Bucket, InvoiceView, Portal, Visitor
from gateway.ports.lookups import Paper
from gateway.settings import Settings
from gateway.town_file import read
from shared.clock import FixedClock
from shared.errors import SettingsError
from tests.unit.gateway.door import NOW

TODAY = date(2026, 11, 24)


def an_invoice(**changes: object) -> InvoiceView:
    content = {
        "invoice_id": UUID(int=1),
        "authority": "town",
        "authority_name": "Ville",
        "regie": "R",
        "regie_label": "Cantine",
        "number": "1",
        "version": 1,
        "withdrawn_version": 0,
        "kind": "invoice",
        "route": "regie",
        "subject": "Repas",
        "issued_on": TODAY,
        "due_on": TODAY,
        "amount_cents": 4100,
        "payer_name": "Camille",
        "readable_until": TODAY,
        "paid_cents": 0,
    }
    return InvoiceView(**(content | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "status", "is_owed"),
    [
        ({}, "to_pay", True),
        ({"due_on": date(2026, 11, 23)}, "overdue", True),
        ({"paid_cents": 100}, "partly_paid", True),
        ({"paid_cents": 100, "due_on": date(2026, 11, 23)}, "overdue", True),
        ({"paid_cents": 4100}, "paid", False),
        ({"paid_cents": 9999}, "paid", False),
        ({"kind": "credit_note"}, "credit_note", False),
        ({"withdrawn_version": 1}, "withdrawn", False),
        ({"withdrawn_version": 1, "version": 2}, "to_pay", True),
        ({"route": "treasury"}, "to_pay", True),
    ],
)
def test_one_word_says_how_an_invoice_stands(
    changes: dict[str, object], status: str, is_owed: object
) -> None:
    """And whether something is left to pay, on whichever route."""
    invoice = an_invoice(**changes)

    assert (invoice.status(TODAY), invoice.is_owed) == (status, is_owed)


def settings(**changes: str) -> Settings:
    content: dict[str, str] = {
        "public_url": "https://factures.exemple.test/",
        "payment_page_origins": "https://secure.payzen.eu https://www.payfip.gouv.fr:8443",
    }
    return Settings(
        **{
            "database_url": "",
            "kafka_bootstrap_servers": "",
            "http_port": 0,
            "token_issuer": "a",
            "token_signing_key": "a key",
            "payment_url": "",
            "publication_url": "",
            "figures_url": "",
            "notification_url": "",
            "reconciliation_url": "",
            **(content | changes),
        }  # type: ignore[arg-type]
    )


def no_portal() -> AbstractAsyncContextManager[Portal]:
    message = "no page is shown here"
    raise AssertionError(message)


class NoLookups:
    """Nobody looks anything up either."""

    async def paper(self, _token: str, _bucket: Bucket) -> Paper:
        raise AssertionError

    async def visitor(self, _secret: str) -> Visitor | None:
        raise AssertionError

    async def own_invoices(self, _account_id: UUID) -> list[InvoiceView]:
        raise AssertionError


def test_payers_are_handed_over_to_the_origins_of_the_settings() -> None:
    """S17: the list is the operator's, several of them apart by spaces."""
    site = site_of_settings(settings(), no_portal, NoLookups(), FixedClock(NOW))

    assert site.payment_origins == (
        "https://secure.payzen.eu",
        "https://www.payfip.gouv.fr:8443",
    )
    assert site.public_url == "https://factures.exemple.test"


@pytest.mark.parametrize(
    "origins",
    [
        "https://secure.payzen.eu/vads-payment/",
        "https://secure.payzen.eu/",
        "secure.payzen.eu",
        "*",
        "https://*.payzen.eu",
        "https://a.test;script-src",
        "javascript:alert(1)",
        "https://user@a.test",
    ],
)
def test_what_is_no_origin_stops_the_start(origins: str) -> None:
    """It would match nothing, or everything, or end the directive of the content policy."""
    with pytest.raises(SettingsError, match="PAYMENT_PAGE_ORIGINS"):
        site_of_settings(
            settings(payment_page_origins=origins), no_portal, NoLookups(), FixedClock(NOW)
        )


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "",
        "evil",
    ],
)
def test_never_sends_a_visitor_elsewhere_after_login(address: str) -> None:
    """ASVS 3.7.2: only a path of ours is followed."""
    assert safe_path(address) == "/factures"


def test_goes_on_to_the_page_that_was_asked() -> None:
    """A path of ours is kept."""
    assert safe_path("/factures/1?x=2") == "/factures/1?x=2"


def test_reads_the_file_of_the_demo() -> None:
    """The loader's form is the one that the demo writes."""
    content = msgspec.json.encode(town(Secrets()))

    found = [entry.authority for entry in read(content).authorities]

    assert found == ["saint-aubin", "val-de-brume"]


@pytest.mark.parametrize(
    ("spoil", "hint"),
    [
        (lambda t: t["billers"][0].update(authority="nowhere"), "/billers/0/authority"),
        (lambda t: t["billers"][0].update(regies=["NONE"]), "/billers/0/regies: NONE"),
        (lambda t: t["billers"][0].update(client_secret="short"), "/billers/0/client_secret"),
        (lambda t: t["agents"][0].update(password="short"), "/agents/0/password"),
        (lambda t: t["agents"][0].update(authority="nowhere"), "/agents/0/authority"),
        (lambda t: t.update(surprise=1), "/surprise"),
    ],
    ids=["authority", "régie", "secret", "password", "agent", "unknown field"],
)
def test_refuses_a_file_that_says_something_wrong(
    spoil: Callable[[dict[str, Any]], None], hint: str
) -> None:
    """And names the place, before anything is written."""
    content = town(Secrets())
    spoil(content)

    with pytest.raises(SettingsError, match=hint):
        read(msgspec.json.encode(content))
