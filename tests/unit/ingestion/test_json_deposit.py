"""A JSON deposit is read strictly, and one bad line costs no other."""

import json
from collections.abc import Callable
from datetime import date

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingestion.adapters.json_deposit import MAXIMUM_BODY_BYTES, MAXIMUM_INVOICES, read
from ingestion.domain import (
    InvoiceDraft,
    InvoiceLine,
    Payer,
    Rejection,
    UnreadableDepositError,
)

INVOICE: dict[str, object] = {
    "regie": "CANTINE",
    "number": "2026-001",
    "issued_on": "2026-11-01",
    "due_on": "2026-12-01",
    "amount_cents": 4250,
    "currency": "EUR",
    "subject": "Restauration scolaire – octobre",
    "route": "regie",
    "payer": {"reference": "F-17", "name": "Éloïse"},
}
DRAFT = InvoiceDraft(
    regie="CANTINE",
    number="2026-001",
    issued_on=date(2026, 11, 1),
    due_on=date(2026, 12, 1),
    amount_cents=4250,
    currency="EUR",
    subject="Restauration scolaire – octobre",
    route="regie",
    payer=Payer(reference="F-17", name="Éloïse"),
)


def deposit(*invoices: object) -> bytes:
    """Return the body of a deposit of these invoices."""
    return json.dumps({"invoices": invoices}, ensure_ascii=False).encode()


def refused_by(body: bytes) -> tuple[str, str]:
    """Return code and pointer of the refusal of `body`."""
    with pytest.raises(UnreadableDepositError) as caught:
        read(body)
    return caught.value.code, caught.value.pointer


def only_refusal(line: bytes) -> tuple[str, str]:
    """Return code and pointer of the second of three lines, whose neighbours must be taken."""
    good = json.dumps(INVOICE).encode()
    lines = read(b'{"invoices":[' + good + b"," + line + b"," + good + b"]}").lines
    assert lines[0] == DRAFT
    assert lines[2] == DRAFT
    refusal = lines[1]
    assert isinstance(refusal, Rejection)
    return refusal.code, refusal.pointer


def test_reads_the_fields_that_must_be_there() -> None:
    """What is optional takes its default: an invoice, first version, no lines."""
    body = deposit(INVOICE)

    lines = read(body).lines

    assert lines == (DRAFT,)


def test_reads_every_optional_field() -> None:
    """All fields of the published contract arrive in the draft."""
    body = deposit(
        INVOICE
        | {
            "kind": "credit_note",
            "route": "treasury",
            "payer": {
                "reference": "F-17",
                "name": "Éloïse",
                "email": "a@b.fr",
                "phone": "0612345678",
                "address": ["1 rue", "Rouen"],
            },
            "lines": [
                {
                    "label": "Repas",
                    "quantity": "10",
                    "unit_amount_cents": 425,
                    "amount_cents": 4250,
                }
            ],
            "pdf": "facture-1",
            "fiscal_year": 2026,
            "debt_reference": "ROLE2026000017",
            "version": 3,
        }
    )

    lines = read(body).lines

    assert lines == (
        msgspec.structs.replace(
            DRAFT,
            kind="credit_note",
            route="treasury",
            payer=Payer(
                reference="F-17",
                name="Éloïse",
                email="a@b.fr",
                phone="0612345678",
                address=("1 rue", "Rouen"),
            ),
            lines=(
                InvoiceLine(label="Repas", quantity="10", unit_amount_cents=425, amount_cents=4250),
            ),
            pdf="facture-1",
            fiscal_year=2026,
            debt_reference="ROLE2026000017",
            version=3,
        ),
    )


def test_ignores_a_byte_order_mark() -> None:
    """RFC 8259 section 8.1 lets a reader skip it; billing applications on Windows write it."""
    body = b"\xef\xbb\xbf" + deposit(INVOICE)

    lines = read(body).lines

    assert lines == (DRAFT,)


def test_accepts_space_and_escapes_around_the_list() -> None:
    """The way a key is spelled in JSON does not change it."""
    body = b' {\n\t"invo\\u0069ces" : ' + json.dumps([INVOICE]).encode() + b"\r\n}\n"

    lines = read(body).lines

    assert lines == (DRAFT,)


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        ("12.345", "wrong_type"),
        ("100.0", "wrong_type"),
        ("1e2", "wrong_type"),
        ('"100"', "wrong_type"),
        ("true", "wrong_type"),
        ("null", "wrong_type"),
        ("[100]", "wrong_type"),
        ("1" + "0" * 5000, "out_of_range"),
    ],
)
def test_takes_only_an_integer_for_an_amount(amount: str, expected: str) -> None:
    """Cents are a JSON integer: a float, a text or a boolean is never made into one."""
    line = json.dumps(INVOICE | {"amount_cents": "AMOUNT"}).replace('"AMOUNT"', amount)

    refusal = only_refusal(line.encode())

    assert refusal == (expected, "/invoices/1/amount_cents")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"paid": True}, ("unknown_field", "/invoices/1/paid")),
        ({"a/b~c": 1}, ("unknown_field", "/invoices/1/a~1b~0c")),
        ({"<script>": 1}, ("unknown_field", "/invoices/1")),
        ({"x" * 65: 1}, ("unknown_field", "/invoices/1")),
        ({"issued_on": "2026-02-30"}, ("invalid_date", "/invoices/1/issued_on")),
        ({"issued_on": "01/11/2026"}, ("invalid_date", "/invoices/1/issued_on")),
        ({"due_on": 20261201}, ("wrong_type", "/invoices/1/due_on")),
        ({"route": "cash"}, ("invalid_value", "/invoices/1/route")),
        ({"kind": "quote"}, ("invalid_value", "/invoices/1/kind")),
        ({"number": 17}, ("wrong_type", "/invoices/1/number")),
        ({"lines": {}}, ("wrong_type", "/invoices/1/lines")),
        (
            {"lines": [{"label": "a", "amount_cents": 1}, {"label": "b", "amount_cents": "1"}]},
            ("wrong_type", "/invoices/1/lines/1/amount_cents"),
        ),
        (
            {"payer": {"reference": "F", "name": "N", "address": ["a", 3]}},
            ("wrong_type", "/invoices/1/payer/address/1"),
        ),
        ({"payer": {"reference": "F"}}, ("missing_field", "/invoices/1/payer/name")),
        (
            {"payer": {"reference": "F", "name": "N", "iban": "FR76"}},
            ("unknown_field", "/invoices/1/payer/iban"),
        ),
    ],
)
def test_points_at_what_is_wrong_in_a_line(
    changes: dict[str, object], expected: tuple[str, str]
) -> None:
    """The pointer follows RFC 6901 from the body, and shows no field name that could do harm."""
    line = json.dumps(INVOICE | changes).encode()

    refusal = only_refusal(line)

    assert refusal == expected


@pytest.mark.parametrize(
    "field", ["regie", "number", "issued_on", "due_on", "amount_cents", "currency", "payer"]
)
def test_names_a_missing_field(field: str) -> None:
    """The pointer is where the field should have been."""
    line = json.dumps({name: value for name, value in INVOICE.items() if name != field}).encode()

    refusal = only_refusal(line)

    assert refusal == ("missing_field", f"/invoices/1/{field}")


@pytest.mark.parametrize("line", [b"1", b'"x"', b"null", b"[]"])
def test_refuses_a_line_that_is_not_an_object(line: bytes) -> None:
    """An invoice is an object; anything else points at the line itself."""
    refusal = only_refusal(line)

    assert refusal == ("wrong_type", "/invoices/1")


@pytest.mark.parametrize(
    ("spoil", "pointer"),
    [
        (lambda text: text[:-1] + ', "amount_cents": 999}', "/invoices/1/amount_cents"),
        (lambda text: text[:-1] + ', "amount\\u005fcents": 999}', "/invoices/1/amount_cents"),
        (
            lambda text: text.replace('"name"', '"reference": "G", "name"'),
            "/invoices/1/payer/reference",
        ),
        (
            lambda text: (
                text[:-1] + ', "lines": [{"label": "a", "amount_cents": 1, "amount_cents": 4250}]}'
            ),
            "/invoices/1/lines/0/amount_cents",
        ),
    ],
    ids=["plain", "escaped", "in the payer", "in a line"],
)
def test_refuses_a_key_written_twice(spoil: Callable[[str], str], pointer: str) -> None:
    """Readers disagree on which of two values counts, so neither does."""
    line = spoil(json.dumps(INVOICE)).encode()

    refusal = only_refusal(line)

    assert refusal == ("duplicate_key", pointer)


@pytest.mark.parametrize(
    "escape", ["\\ud800", "\\udc00", "\\udc00\\ud800", "\\ud800\\u0041", "\\\\\\ud83d"]
)
def test_half_a_character_costs_its_line_only(escape: str) -> None:
    """A lone surrogate becomes U+0000, which the rules refuse in the field where it was."""
    line = json.dumps(INVOICE | {"subject": "SUBJECT"}).replace("SUBJECT", escape).encode()
    good = json.dumps(INVOICE | {"subject": "Bravo \U0001f389"}).encode()

    first, second = read(b'{"invoices":[' + line + b"," + good + b"]}").lines

    assert isinstance(first, InvoiceDraft)
    assert "\x00" in first.subject
    assert second == msgspec.structs.replace(DRAFT, subject="Bravo \U0001f389")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", ("malformed_json", "")),
        (b"facture;montant\n1;12", ("malformed_json", "")),
        (b'{"invoices": [', ("malformed_json", "")),
        (b'{"invoices": [{"amount_cents": NaN}]}', ("malformed_json", "")),
        (b'{"invoices": [{"amount_cents": Infinity}]}', ("malformed_json", "")),
        (b'{"invoices": [{"amount_cents": 01}]}', ("malformed_json", "")),
        (b'{"invoices": [1,]}', ("malformed_json", "")),
        (b'{"invoices": [1]} {}', ("malformed_json", "")),
        (b"[]", ("not_an_object", "")),
        (b"null", ("not_an_object", "")),
        (b"{}", ("missing_invoices", "/invoices")),
        (b'{"invoices": null}', ("missing_invoices", "/invoices")),
        (b'{"invoices": {"0": {}}}', ("missing_invoices", "/invoices")),
        (b'{"invoices": []}', ("no_invoices", "/invoices")),
        (b'{"invoices": [1], "total": 1}', ("unknown_field", "/total")),
        (b'{"invoices": [1], "invoices": [2]}', ("duplicate_key", "/invoices")),
        (b'{"invoices": [1], "invo\\u0069ces": [2]}', ("duplicate_key", "/invoices")),
        (b'{"invoices": ["\xe9"]}', ("not_utf8", "")),
        ('{"invoices": [1]}'.encode("utf-16"), ("not_utf8", "")),
        (b'{"invoices": [' + b"[" * 100_000 + b"]" * 100_000 + b"]}", ("too_deep", "")),
    ],
)
def test_refuses_a_body_that_is_no_deposit(body: bytes, expected: tuple[str, str]) -> None:
    """Without a readable list of invoices there is nothing to answer line by line."""
    refusal = refused_by(body)

    assert refusal == expected


def test_refuses_a_body_over_the_limit_before_reading_it() -> None:
    """The size is looked at first."""
    body = b" " * (MAXIMUM_BODY_BYTES + 1)

    refusal = refused_by(body)

    assert refusal == ("body_too_large", "")


def test_takes_as_many_invoices_as_the_limit_and_no_more() -> None:
    """A deposit has ten thousand lines at most."""
    most = b'{"invoices": [' + b"1," * (MAXIMUM_INVOICES - 1) + b"1]}"
    more = b'{"invoices": [' + b"1," * MAXIMUM_INVOICES + b"1]}"

    count = len(read(most).lines)
    refusal = refused_by(more)

    assert count == MAXIMUM_INVOICES
    assert refusal == ("too_many_invoices", "/invoices")


def test_never_repeats_what_it_refuses() -> None:
    """A message goes into pages and logs: it holds our words only."""
    body = deposit(INVOICE | {"route": "<b>SECRET"}, INVOICE | {"<b>SECRET": 1})

    refusals = msgspec.json.encode(read(body).lines)

    assert b"SECRET" not in refusals


@given(st.integers())
def test_an_amount_arrives_as_it_was_sent(cents: int) -> None:
    """No amount is rounded on the way in."""
    body = deposit(INVOICE | {"amount_cents": cents})

    lines = read(body).lines

    assert lines == (msgspec.structs.replace(DRAFT, amount_cents=cents),)


@given(st.floats())
def test_a_float_is_never_an_amount(euros: float) -> None:
    """Whatever its value, a number with a point or an exponent is refused."""
    body = deposit(INVOICE | {"amount_cents": euros})

    try:
        taken = [line for line in read(body).lines if isinstance(line, InvoiceDraft)]
    except UnreadableDepositError:
        taken = []

    assert taken == []


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=8,
)
FIELD_VALUES = st.dictionaries(
    st.sampled_from([*INVOICE, "lines", "pdf", "version", "x"]), JSON_VALUES, max_size=3
)
BODIES = (
    st.binary()
    | JSON_VALUES.map(lambda value: json.dumps(value).encode())
    | st.lists(FIELD_VALUES, min_size=1).map(
        lambda lines: deposit(*[INVOICE | changes for changes in lines])
    )
)


@given(BODIES, st.integers(0), st.binary(max_size=3))
@example(b'{"invoices": ["\n"], "invoices": [1]}', 0, b"")
@example(b'{"invo\\u0069ces": [1' + b"0" * 5000 + b"]}", 0, b"")
@example(b'{"invo\\u0069ces": ["\\ud800"]}', 0, b"")
@settings(max_examples=400)
def test_no_body_does_worse_than_being_refused(body: bytes, place: int, noise: bytes) -> None:
    """Whatever bytes come, the answer is lines or our own error."""
    place %= len(body) + 1
    noisy = body[:place] + noise + body[place:]

    try:
        lines = read(noisy).lines
    except UnreadableDepositError as error:
        lines = (Rejection(code=error.code, pointer=error.pointer, message=error.detail),)

    assert lines
    assert all(isinstance(line, InvoiceDraft) or line.message for line in lines)
