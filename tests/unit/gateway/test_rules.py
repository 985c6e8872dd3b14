"""Small rules of the portal: status, safe addresses, the chart, the loader's file, the keys."""

from datetime import date
from uuid import UUID

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from demo.configuration import Secrets, town
from gateway.adapters.services import CollectedItem
from gateway.adapters.tokens import TokenSigner
from gateway.api.regie import draw
from gateway.api.web import safe_path
from gateway.load import read
from gateway.ports import InvoiceView
from shared.auth import Principal, decode_token
from shared.errors import SettingsError

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
        "payer_email": None,
        "readable_until": TODAY,
        "paid_cents": 0,
    }
    return InvoiceView(**(content | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "status", "is_payable"),
    [
        ({}, "à payer", True),
        ({"due_on": date(2026, 11, 23)}, "en retard", True),
        ({"paid_cents": 100}, "payée en partie", True),
        ({"paid_cents": 4100}, "payée", False),
        ({"paid_cents": 9999}, "payée", False),
        ({"kind": "credit_note"}, "avoir", False),
        ({"withdrawn_version": 1}, "retirée", False),
        ({"withdrawn_version": 1, "version": 2}, "à payer", True),
        ({"route": "treasury"}, "à payer", False),
    ],
)
def test_one_word_says_how_an_invoice_stands(
    changes: dict[str, object], status: str, is_payable: bool
) -> None:
    """And only what is owed here has a pay button."""
    invoice = an_invoice(**changes)

    assert (invoice.status(TODAY), invoice.is_payable) == (status, is_payable)


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


def test_the_chart_stacks_regies_and_covers_every_day() -> None:
    """Two régies on one day stand on each other; days without money have their place."""
    items = [
        CollectedItem(day=TODAY, regie="A", amount_cents=10_000),
        CollectedItem(day=TODAY, regie="B", amount_cents=5_000),
    ]

    chart = draw(items, date(2026, 11, 20), TODAY)

    lower, upper = chart.bars
    assert [label for _, label in chart.days] == ["20/11", "21/11", "22/11", "23/11", "24/11"]
    assert lower.x == upper.x
    assert upper.y + upper.height == pytest.approx(lower.y, abs=0.2)
    assert lower.height == pytest.approx(2 * upper.height, abs=0.2)
    assert [regie for regie, _ in chart.legend] == ["A", "B"]


def test_an_empty_chart_has_a_scale() -> None:
    """Nothing collected divides nothing by zero."""
    chart = draw([], TODAY, TODAY)

    assert chart.bars == ()
    assert [cents for _, cents in chart.scale] == [0, 2500, 5000, 7500, 10000]


def test_reads_the_file_of_the_demo() -> None:
    """The loader's form is the one that the demo writes."""
    content = msgspec.json.encode(town(Secrets()))

    assert [entry.authority for entry in read(content).authorities] == [
        "saint-aubin",
        "val-de-brume",
    ]


@pytest.mark.parametrize(
    ("spoil", "hint"),
    [
        (lambda t: t["billers"][0].update(authority="nowhere"), "facturation-saint-aubin"),
        (lambda t: t["billers"][0].update(regies=["NONE"]), "facturation-saint-aubin"),
        (lambda t: t["billers"][0].update(client_secret="short"), "client_secret"),
        (lambda t: t["agents"][0].update(password="short"), "password"),
        (lambda t: t["agents"][0].update(authority="nowhere"), "regisseur"),
        (lambda t: t.update(surprise=1), "surprise"),
    ],
    ids=["authority", "régie", "secret", "password", "agent", "unknown field"],
)
def test_refuses_a_file_that_says_something_wrong(spoil: object, hint: str) -> None:
    """And names the culprit, before anything is written."""
    content = town(Secrets())
    spoil(content)  # type: ignore[operator]

    with pytest.raises(SettingsError, match=hint):
        read(msgspec.json.encode(content))


def a_key() -> str:
    return (
        ec.generate_private_key(ec.SECP256R1())
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        .decode()
    )


def test_publishes_the_present_and_the_previous_key() -> None:
    """Tokens of both are checked while one replaces the other."""
    present, previous = a_key(), a_key()

    keys = TokenSigner(present, previous, "us").jwks()["keys"]

    assert len({key["kid"] for key in keys}) == 2
    assert all(key.keys() == {"crv", "kty", "x", "y", "kid", "alg", "use"} for key in keys)


def test_signs_tokens_that_its_published_key_checks() -> None:
    """What the world needs is in the key set, and nothing private is."""
    signer = TokenSigner(a_key(), "", "us")
    [key] = jwt.PyJWKSet.from_dict(dict(signer.jwks())).keys
    biller = Principal(subject="b", authority="a", regies=("R",), scopes=frozenset({"x"}))

    assert decode_token(signer.sign(biller, 60), key, "us") == biller


def test_refuses_a_key_of_another_kind() -> None:
    """One algorithm only (RFC 8725, 3.1)."""
    with pytest.raises(SettingsError):
        TokenSigner("not a key", "", "us")
