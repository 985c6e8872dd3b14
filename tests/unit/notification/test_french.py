"""Dates and times as the French write them."""

from datetime import UTC, date, datetime
from typing import get_args

from notification.adapters.french import MEANS, french_date, french_instant
from shared.events.payment_captured import Means


def test_writes_dates_with_the_first_of_the_month_as_an_ordinal() -> None:
    """`1er`, then plain numbers."""
    assert french_date(date(2026, 12, 1)) == "1er\u00a0décembre\u00a02026"
    assert french_date(date(2026, 8, 15)) == "15\u00a0août\u00a02026"


def test_writes_instants_on_the_clock_of_paris() -> None:
    """In summer two hours ahead of UTC; the day may change."""
    assert french_instant(datetime(2026, 7, 31, 22, 5, tzinfo=UTC)) == (
        "1er\u00a0août\u00a02026 à 0\u00a0h\u00a005"
    )
    assert french_instant(datetime(2026, 11, 24, 13, 5, tzinfo=UTC)) == (
        "24\u00a0novembre\u00a02026 à 14\u00a0h\u00a005"
    )


def test_names_every_means_of_payment() -> None:
    """A means without a name would stop a receipt."""
    assert set(MEANS) == set(get_args(Means))
