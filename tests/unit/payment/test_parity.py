"""Our attempts against the provider's own list."""

from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest

from payment.domain.parity import Difference, OurLine, TheirLine, compare
from payment.domain.statements import UnreadableStatementError, read_statement
from payment.handlers.compare_statement import compare_statement, keep_statement
from tests.unit.payment.payment_builders import (
    NOW,
    ORDER_ID,
    PAYMENT_ID,
    TRANSACTION,
    a_captured_attempt,
)
from tests.unit.payment.payment_fakes import FakeUnits


def ours(**changes: object) -> OurLine:
    """Return our captured attempt."""
    line = OurLine(
        payment_id=str(PAYMENT_ID),
        order_id=ORDER_ID,
        reference="",
        provider_reference=TRANSACTION,
        captured_cents=41_00,
        returned_cents=0,
    )
    return msgspec.structs.replace(line, **changes)


def theirs(**changes: object) -> TheirLine:
    """Return how the provider lists it."""
    line = TheirLine(
        order=ORDER_ID, reference=TRANSACTION, state="captured", amount_cents=41_00, at=NOW
    )
    return msgspec.structs.replace(line, **changes)


A_RETURN = theirs(reference="back", state="reversed", amount_cents=5_00)


@pytest.mark.parametrize(
    ("we", "they"),
    [
        ([], []),
        ([ours()], [theirs()]),
        ([ours()], [theirs(), theirs(reference="first", state="open")]),
        ([ours(captured_cents=0)], []),
        ([ours(captured_cents=0)], [theirs(state="open")]),
        ([], [theirs(state="open")]),
        ([ours(returned_cents=5_00)], [theirs(), A_RETURN]),
        ([ours()], [theirs(order="by reference")]),
    ],
)
def test_equal_lists_differ_in_nothing(we: list[OurLine], they: list[TheirLine]) -> None:
    """What took no money on either side is no difference."""
    assert compare(we, they) == []


@pytest.mark.parametrize(
    ("we", "they", "difference", "cents"),
    [
        ([], [theirs()], Difference.MISSING_HERE, (0, 41_00)),
        ([ours()], [], Difference.MISSING_THERE, (41_00, 0)),
        ([ours()], [theirs(amount_cents=40_00)], Difference.AMOUNT, (41_00, 40_00)),
        ([ours()], [theirs(state="open")], Difference.STATE, (41_00, 0)),
        ([ours(captured_cents=0)], [theirs()], Difference.STATE, (0, 41_00)),
        ([ours()], [theirs(), theirs(reference="2")], Difference.DOUBLE, (41_00, 82_00)),
        ([ours()], [theirs(), A_RETURN], Difference.STATE, (0, -5_00)),
        ([ours(returned_cents=5_00)], [theirs()], Difference.STATE, (-5_00, 0)),
        ([ours(returned_cents=4_00)], [theirs(), A_RETURN], Difference.AMOUNT, (-4_00, -5_00)),
    ],
)
def test_names_each_class_of_difference(
    we: list[OurLine], they: list[TheirLine], difference: Difference, cents: tuple[int, int]
) -> None:
    """One finding for each, with both sums."""
    [finding] = compare(we, they)

    assert (difference, *cents) == (
        finding.difference,
        finding.ours_cents,
        finding.theirs_cents,
    )


CSV = """Référence commande;UUID transaction;Statut;Montant;Date de création;Type
23456789ABCDEFGH;7ae6bd8dd4df4ef4ac0ec2ac3ee02a1b;CAPTURED;41,00;24/11/2026 14:05:00;DEBIT
23456789ABCDEFGH;back;CAPTURED;1 005,50;25/11/2026;CREDIT
23456789ABCDEFGJ;;REFUSED;9,00;24/11/2026 14:05;DEBIT
"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_reads_the_csv_of_a_back_office(encoding: str) -> None:
    """Whatever Excel made of its letters; times without a zone are those of France."""
    lines = read_statement(CSV.encode(encoding))

    assert [
        (ORDER_ID, TRANSACTION, "captured", 41_00),
        (ORDER_ID, "back", "reversed", 1_005_50),
        ("23456789ABCDEFGJ", "23456789ABCDEFGJ", "open", 9_00),
    ] == [(line.order, line.reference, line.state, line.amount_cents) for line in lines]
    assert lines[0].at == datetime(2026, 11, 24, 13, 5, tzinfo=UTC)


def test_reads_lists_in_json() -> None:
    """The simulators' own, of both providers."""
    content = msgspec.json.encode(
        [
            {
                "trans_uuid": TRANSACTION,
                "order_id": ORDER_ID,
                "amount": 4100,
                "status": "AUTHORISED",
                "created_at": "2026-11-24T13:05:00+00:00",
                "notices": [],
            },
            {
                "idop": "idop-1",
                "refdet": "REF",
                "amount": 900,
                "state": "ended",
                "resultrans": "V",
                "created_at": "2026-11-24T13:05:00+00:00",
            },
        ]
    )

    assert [theirs(), theirs(order="REF", reference="idop-1", amount_cents=9_00)] == (
        read_statement(content)
    )


@pytest.mark.parametrize(
    "content",
    [
        b"[1]",
        b"[{",
        b'[{"amount": 1, "date": "2026-11-24"}]',
        b'[{"order_id": "A", "amount": "x", "date": "2026-11-24"}]',
        b'[{"order_id": "A", "amount": 1, "date": "hier"}]',
        b"a;b\n1;2\n",
        b"order_id;amount\nA;1\n",
    ],
)
def test_refuses_what_is_no_list_of_payments(content: bytes) -> None:
    """With the line that is wrong; nothing is guessed."""
    with pytest.raises(UnreadableStatementError):
        read_statement(content)


async def test_compares_across_midnight() -> None:
    """Taken before it there and told after it here: no difference on either day."""
    units = FakeUnits()
    units.memory.attempts[PAYMENT_ID] = a_captured_attempt()
    units.memory.ended[PAYMENT_ID] = datetime(2026, 11, 24, 23, 0, 3, tzinfo=UTC)
    line = theirs(at=datetime(2026, 11, 24, 22, 59, 59, tzinfo=UTC))
    account = "saint-aubin-carte"

    await keep_statement(account, [line, line], units.open)

    for day in (date(2026, 11, 24), date(2026, 11, 25)):
        assert await compare_statement(account, day, day, units.open) == []
    far = date(2026, 11, 24) + timedelta(days=9)
    units.memory.lines.clear()
    assert await compare_statement(account, far, far, units.open) == []
    [finding] = await compare_statement(account, date(2026, 11, 25), date(2026, 11, 25), units.open)
    assert finding.difference is Difference.MISSING_THERE
