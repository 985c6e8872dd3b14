"""What is wanted, by what, from whom; and when telephones stay silent."""

from datetime import UTC, datetime

import pytest

from notification.domain import Wishes, is_wanted, silent_until
from shared.clock import PARIS
from shared.events.contact_updated import Choice

TOWN, OTHER = "saint-aubin", "val-de-brume"


def a_choice(*, wanted: bool, authority: str | None = None) -> Choice:
    return Choice(event="invoice", channel="push", authority=authority, wanted=wanted)


def test_everything_is_wanted_until_something_is_said() -> None:
    """E5: e-mail and push are on from the start."""
    assert is_wanted((), "invoice", "email", TOWN)
    assert is_wanted((), "reminder", "push", TOWN)


def test_a_choice_about_an_authority_goes_before_one_about_all() -> None:
    """Whichever is written first."""
    choices = (a_choice(wanted=False), a_choice(wanted=True, authority=TOWN))

    for ordered in (choices, tuple(reversed(choices))):
        assert is_wanted(ordered, "invoice", "push", TOWN)
        assert not is_wanted(ordered, "invoice", "push", OTHER)


def test_a_choice_says_nothing_of_other_news_nor_other_channels() -> None:
    """No push about invoices is still a mail about them, and a push about receipts."""
    choices = (a_choice(wanted=False),)

    assert is_wanted(choices, "invoice", "email", TOWN)
    assert is_wanted(choices, "receipt", "push", TOWN)


@pytest.mark.parametrize(
    ("hours", "local", "ends"),
    [
        (("21:30", "07:00"), "2026-11-24 23:10", "2026-11-25 07:00"),
        (("21:30", "07:00"), "2026-11-25 06:59", "2026-11-25 07:00"),
        (("21:30", "07:00"), "2026-11-25 07:00", None),
        (("21:30", "07:00"), "2026-11-25 21:29", None),
        (("21:30", "07:00"), "2026-11-25 21:30", "2026-11-26 07:00"),
        (("12:00", "14:00"), "2026-11-25 13:00", "2026-11-25 14:00"),
        (("12:00", "14:00"), "2026-11-25 14:00", None),
        (("12:00", "12:00"), "2026-11-25 12:00", None),
        ((None, None), "2026-11-25 03:00", None),
        # Clocks go forward at 2 and back at 3: the night is an hour shorter, or longer.
        (("22:00", "07:00"), "2026-03-28 23:00", "2026-03-29 07:00"),
        (("22:00", "07:00"), "2026-10-24 23:00", "2026-10-25 07:00"),
    ],
)
def test_quiet_hours_are_on_the_clock_of_paris_and_may_span_midnight(
    hours: tuple[str | None, str | None], local: str, ends: str | None
) -> None:
    """Until 07:00 means until 07:00 on the wall, in summer as in winter."""
    now = datetime.fromisoformat(local).replace(tzinfo=PARIS).astimezone(UTC)

    found = silent_until(Wishes(quiet_from=hours[0], quiet_until=hours[1]), now)

    shown = found.astimezone(PARIS).strftime("%Y-%m-%d %H:%M") if found else None
    assert ends == shown


def test_an_hour_that_comes_twice_is_quiet_once() -> None:
    """When clocks go back, 02:00 to 02:30 is over after its first coming."""
    again = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)
    wishes = Wishes(quiet_from="02:00", quiet_until="02:30")

    assert again.astimezone(PARIS).strftime("%H:%M") == "02:10"
    assert silent_until(wishes, again) is None
