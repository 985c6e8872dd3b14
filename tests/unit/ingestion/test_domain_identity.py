"""What makes an invoice the same invoice, and its content the same content."""

from datetime import date
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.domain import (
    MAXIMUM_INVOICE_CENTS,
    InvoiceDraft,
    InvoiceLine,
    Known,
    Payer,
    decide,
    fingerprint,
    invoice_id,
)


def a_payer(**changes: Any) -> Payer:
    """Return a payer, sound unless changed."""
    fields: dict[str, Any] = {"reference": "F-17", "name": "Éloïse N’Guyen"} | changes
    return Payer(**fields)


def an_invoice(**changes: Any) -> InvoiceDraft:
    """Return an invoice, sound unless changed."""
    fields: dict[str, Any] = {
        "regie": "CANTINE",
        "number": "2026-001",
        "issued_on": date(2026, 11, 1),
        "due_on": date(2026, 12, 1),
        "amount_cents": 4250,
        "currency": "EUR",
        "subject": "Restauration scolaire – octobre",
        "route": "regie",
        "payer": a_payer(),
    } | changes
    return InvoiceDraft(**fields)


def test_the_fingerprint_ignores_the_version_and_the_name_of_the_file() -> None:
    """The same content deposited again is the same, whatever it is called this time."""
    first = an_invoice(pdf="a.pdf", version=1)
    second = an_invoice(pdf="b.pdf", version=7)

    same = fingerprint(first, "ab" * 32) == fingerprint(second, "ab" * 32)

    assert same


@pytest.mark.parametrize(
    "changes",
    [
        {"amount_cents": 4251},
        {"subject": "Autre"},
        {"due_on": date(2026, 12, 2)},
        {"kind": "credit_note"},
        {"payer": a_payer(email="a@b.fr")},
        {"payer": a_payer(address=())},
        {"lines": (InvoiceLine(label="Repas", amount_cents=4250),)},
    ],
)
def test_the_fingerprint_changes_with_anything_the_citizen_sees(
    changes: dict[str, object],
) -> None:
    """Content is every field but the version."""
    changed = an_invoice(**changes)

    different = fingerprint(changed, None) != fingerprint(an_invoice(), None)

    assert different


def test_the_fingerprint_changes_with_the_pdf() -> None:
    """The paper is content too."""
    draft = an_invoice(pdf="a.pdf")

    prints = {
        fingerprint(draft, "ab" * 32),
        fingerprint(draft, "cd" * 32),
        fingerprint(draft, None),
    }

    assert len(prints) == 3


def test_the_fingerprint_is_stable_between_releases() -> None:
    """Stored prints are compared for years: this very value must never change."""
    draft = an_invoice()

    value = fingerprint(draft, None)

    assert value == "59c1b191dbc2ebb5160fd2b9fd377f1f01dc3ce6959450d8858b6e3d42962409"


@pytest.mark.parametrize(
    ("existing", "version", "expected"),
    [
        (None, 1, "created"),
        (None, 5, "created"),
        (Known(version=2, fingerprint="same"), 1, "unchanged"),
        (Known(version=2, fingerprint="same"), 3, "unchanged"),
        (Known(version=2, fingerprint="other"), 3, "superseded"),
        (Known(version=2, fingerprint="other"), 2, "conflict"),
        (Known(version=2, fingerprint="other"), 1, "conflict"),
    ],
)
def test_decides_by_content_first_then_by_version(
    existing: Known | None, version: int, expected: str
) -> None:
    """The same content is unchanged; other content needs a higher version."""
    draft = an_invoice(version=version)

    decision = decide(existing, draft, "same")

    assert decision == expected


def test_an_invoice_keeps_its_identity_for_ever() -> None:
    """The identity follows from the natural key alone: this very value must never change."""
    identity = invoice_id("saint-aubin", "CANTINE", "2026-001")

    assert identity == UUID("4284d971-79b7-52bf-9db5-d3aa2ce45f21")


@given(st.lists(st.tuples(*[st.text("ab-/ 1", max_size=4)] * 3), unique=True))
def test_different_keys_have_different_identities(keys: list[tuple[str, str, str]]) -> None:
    """No joining of the three parts makes two keys one."""
    identities = {invoice_id(*key) for key in keys}

    assert len(identities) == len(keys)


@given(st.integers(1, MAXIMUM_INVOICE_CENTS), st.text(max_size=30), st.text(max_size=30))
def test_a_fingerprint_survives_the_wire(cents: int, subject: str, name: str) -> None:
    """Written as JSON and read back, an invoice is the same content."""
    draft = an_invoice(amount_cents=cents, subject=subject, payer=a_payer(name=name))

    back = msgspec.json.decode(msgspec.json.encode(draft), type=InvoiceDraft)

    assert fingerprint(back, None) == fingerprint(draft, None)
