"""A parent on a telephone with the paper in hand: scanned, seen, paid."""

from pathlib import Path

import pytest

from demo.biller import Biller
from demo.town import Town
from tests.broker.observing import an_invoice, count
from tests.journeys.browser.people import pay_from_paper

pytestmark = [pytest.mark.journey, pytest.mark.asyncio(loop_scope="package")]

CAPTURED = """
SELECT count(*) FROM attempt JOIN allocation USING (payment_id)
WHERE invoice_id = $1 AND state = 'captured'
"""


async def test_paper_scanned_and_paid(town: Town, biller: Biller, tmp_path: Path) -> None:
    """With no account and no typing but the card's numbers; it is booked once."""
    receipt = await biller.deposit_json([an_invoice("FROM-PAPER")])
    [line] = await biller.lines(receipt["deposit_id"])
    state = await biller.wait_published(line["invoice_id"])
    paper = await biller.print_file(line["invoice_id"])

    await pay_from_paper(town, paper, state["public_url"], tmp_path)

    assert await count(town, "payment", CAPTURED, line["invoice_id"]) == 1
