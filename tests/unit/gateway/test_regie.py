"""The agents' first page, and the chart on it."""

from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import lxml.html
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.chart import HEIGHT, LEFT, WIDTH, draw, round_up
from gateway.ports import Collected, CollectedItem, Delays, Step
from tests.unit.gateway.door import EMAIL, PASSWORD, TODAY, Door
from tests.unit.gateway.fakes import FakeServices

AGENT = {"login": "Regisseur", "password": PASSWORD}


def an_item(days_ago: int = 0, cents: int = 1000, regie: str = "CANTINE") -> CollectedItem:
    day = TODAY - timedelta(days=days_ago)
    return CollectedItem(day=day, regie=regie, amount_cents=cents, payments=2)


@pytest.mark.enable_socket
async def test_an_agent_sees_what_came_in(door: Door, services: FakeServices) -> None:
    """Today, the week, and the same figures as a table beside the chart."""
    await door.add_town()
    services.collected_items = Collected(items=(an_item(), an_item(6, 2500), an_item(7, 400)))
    services.delays_found = Delays(
        steps=(
            Step(
                step="generated_to_published",
                count=12,
                mean_seconds=0.25,
                p50_seconds=0.2,
                p95_seconds=90.0,
            ),
        )
    )

    entered = await door.log_in_agent()
    page = await door.get("/regie")

    assert (entered.status, entered.location) == (303, "/regie")
    assert "Ville de Saint-Aubin" in page.text
    assert "Aujourd’hui 10,00 €" in page.text
    assert "Sept derniers jours 35,00 €" in page.text
    assert "Paiements en 14 jours 6" in page.text
    assert "18 novembre 2026 Restauration scolaire 2 25,00 €" in page.text
    assert "Du dépôt à la publication 12 250 ms 200 ms 2 min" in page.text


@pytest.mark.enable_socket
async def test_without_figures_the_page_says_so_and_the_rest_works(
    door: Door, services: FakeServices
) -> None:
    """The live figures are a view; nothing else hangs on them."""
    await door.add_town()
    await door.log_in_agent()
    services.is_down = True

    page = await door.get("/regie")

    assert page.status == 200
    assert "ne sont pas disponibles" in page.text
    assert (await door.get("/")).status == 200


@pytest.mark.enable_socket
async def test_agents_and_citizens_have_doors_of_their_own(door: Door) -> None:
    """A citizen's password opens no figures, an agent's no invoices."""
    await door.add_town()
    await door.add_account()

    as_agent = await door.submit("/regie/connexion", {"login": EMAIL, "password": PASSWORD})
    as_citizen = await door.submit("/connexion", {"email": "regisseur", "password": PASSWORD})
    await door.submit("/connexion", {"email": EMAIL, "password": PASSWORD})
    figures = await door.get("/regie")
    await door.log_in_agent()
    invoices = await door.get("/factures")

    assert (as_agent.status, as_citizen.status) == (401, 401)
    assert (figures.status, figures.location) == (303, "/regie/connexion")
    assert (invoices.status, invoices.location) == (303, "/connexion?suite=/factures")


@pytest.mark.enable_socket
async def test_an_agents_session_ends_after_eight_hours(door: Door) -> None:
    """S3: shorter than a citizen's."""
    await door.add_town()
    await door.log_in_agent()

    statuses = []
    for _ in range(24):
        door.clock.advance(timedelta(minutes=20))
        statuses.append((await door.get("/regie")).status)

    assert statuses == [200] * 23 + [303]


@pytest.mark.enable_socket
async def test_guessing_an_agents_password_is_slowed_down(door: Door) -> None:
    """S8, for agents too."""
    await door.add_town()
    wrong = AGENT | {"password": "not that one"}

    statuses = [(await door.submit("/regie/connexion", wrong)).status for _ in range(6)]

    assert statuses == [401] * 5 + [429]


@pytest.mark.enable_socket
async def test_the_chart_is_readable_by_machines_and_people(
    door: Door, services: FakeServices
) -> None:
    """RGAA 1: an image with a name, its figures in a table with headers."""
    await door.add_town()
    services.collected_items = Collected(items=(an_item(),))
    await door.log_in_agent()

    tree: Any = lxml.html.fromstring((await door.get("/regie")).content)

    [chart] = tree.xpath("//svg[@role='img']")
    assert chart.get("aria-labelledby") == "chart-title"
    assert tree.xpath("count(//table[caption][thead/tr/th[@scope='col']])") >= 1
    assert len(chart.xpath(".//rect")) == 1


FIRST, LAST = date(2026, 11, 11), TODAY


@given(
    st.lists(
        st.builds(
            CollectedItem,
            day=st.dates(FIRST - timedelta(days=3), LAST + timedelta(days=3)),
            regie=st.sampled_from(["A", "B", "C"]),
            amount_cents=st.integers(-10_000_000_000, 10_000_000_000),
            payments=st.integers(0, 9),
        ),
        max_size=30,
    )
)
def test_bars_stay_within_the_chart_and_do_not_overlap(items: list[CollectedItem]) -> None:
    """Whatever was collected, and also what was given back."""
    chart = draw(items, {}, FIRST, LAST)

    for bar in chart.bars:
        assert LEFT <= bar.x <= bar.x + bar.width <= WIDTH
        assert -0.2 <= bar.y <= bar.y + bar.height <= HEIGHT
    for day in {bar.day for bar in chart.bars}:
        stacked = sorted(
            (bar for bar in chart.bars if bar.day == day), key=lambda bar: (bar.y, bar.height)
        )
        for upper, lower in pairwise(stacked):
            assert upper.y + upper.height <= lower.y + 0.2


@given(st.integers(0, 10**12))
def test_the_scale_reaches_above_every_bar_and_not_far(cents: int) -> None:
    """The highest bar fills more than half of the chart, once it is worth drawing."""
    top = round_up(cents)

    assert top >= cents
    assert top % 400 == 0
    assert cents < 10_000 or top <= cents * 2
