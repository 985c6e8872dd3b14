"""The life of an idOp, the payer's page and the form mode, on a clock that the tests move."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import eopayment
import pytest
import pytest_asyncio
from eopayment.payfip_ws import PayFiPError

from simulators.payfip.payer_pages import FORM_PATH
from tests.unit.simulators.payfip_builders import EMAIL, NUMCLI, Site, running_site

pytestmark = [pytest.mark.asyncio, pytest.mark.enable_socket]


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    """Run the site; its clock shows half past eleven in the evening in Paris."""
    async with running_site() as running:
        yield running


async def told(site: Site, idop: str) -> str:
    """Return the result, or the code of the fault, that the web service tells."""
    try:
        return str((await site.ask(idop)).resultrans)
    except PayFiPError as error:
        return str(error.code)


async def test_there_is_no_result_before_the_payer_chose(site: Site) -> None:
    """P5 from the creation on, on the open page, and two hours later; eopayment waits."""
    idop = await site.create()
    created = await told(site, idop)
    await site.open_page(idop)

    opened = await told(site, idop)
    reading = await site.status(idop)
    await site.advance(minutes=121)

    assert [created, opened, await told(site, idop)] == ["P5", "P5", "P5"]
    assert reading.result == eopayment.WAITING


async def test_an_idop_that_was_never_opened_goes_in_the_night(site: Site) -> None:
    """P5 until midnight in Paris, then P1 for ever; eopayment calls it expired."""
    idop = await site.create()
    await site.advance(minutes=29)
    before = await told(site, idop)

    await site.advance(minutes=1)

    assert before == "P5"
    assert await told(site, idop) == "P1"
    assert (await site.status(idop)).result == eopayment.EXPIRED
    assert (await site.open_page(idop)).status == 404


async def test_a_result_can_be_read_for_a_year(site: Site) -> None:
    """The night takes nothing that reached its page."""
    idop = await site.create()
    await site.choose(idop, "carte")

    await site.advance(days=365)
    within = await told(site, idop)
    await site.advance(minutes=1)

    assert (within, await told(site, idop)) == ("P", "P1")


async def test_a_page_that_was_left_open_has_no_result(site: Site) -> None:
    """The night does not take an idOp whose page was opened: it stays P5."""
    idop = await site.create()
    await site.open_page(idop)

    await site.advance(days=2)

    assert await told(site, idop) == "P5"


@pytest.mark.parametrize(("minutes", "status"), [(15, 200), (16, 410)])
async def test_a_page_can_be_opened_for_fifteen_minutes(
    minutes: int, status: int, site: Site
) -> None:
    """After that the idOp is too old (P4)."""
    idop = await site.create()
    await site.advance(minutes=minutes)

    answer = await site.open_page(idop)

    assert answer.status == status
    assert ("<code>P4</code>" in await answer.text()) is (status == 410)


async def test_an_open_page_cannot_be_paid_after_twenty_minutes(site: Site) -> None:
    """Nothing is taken and nobody is told."""
    idop = await site.create()
    await site.open_page(idop)
    await site.advance(minutes=21)

    answer = await site.choose(idop, "carte")

    assert answer.status == 410
    assert await told(site, idop) == "P5"
    assert site.merchant.notices == []


async def test_a_paid_idop_cannot_be_used_again(site: Site) -> None:
    """P3: a second click takes nothing and tells nobody."""
    idop = await site.create()
    await site.choose(idop, "carte")
    numauto = (await site.payment(idop))["numauto"]

    answer = await site.choose(idop, "prelevement")

    truth = await site.payment(idop)
    assert answer.status == 410
    assert "<code>P3</code>" in await answer.text()
    assert (truth["resultrans"], truth["numauto"]) == ("P", numauto)
    assert len(site.merchant.notices) == 1


@pytest.mark.parametrize(("minutes", "result"), [(2, "P"), (3, "A")])
async def test_a_fresh_abandonment_may_be_thought_over(
    minutes: int, result: str, site: Site
) -> None:
    """For two minutes the page is still open: the same idOp may turn from A to P."""
    idop = await site.create()
    await site.choose(idop, "abandon")
    first = await told(site, idop)
    await site.advance(minutes=minutes)

    await site.choose(idop, "carte")

    assert first == "A"
    assert await told(site, idop) == result


async def test_a_second_attempt_waits_while_the_first_page_is_open(site: Site) -> None:
    """Twenty minutes between two attempts at one debt; another debt does not wait."""
    first, second = await site.create(), await site.create()
    other = await site.create(refdet="MUSIQUE2026")
    await site.open_page(first)

    held = await site.open_page(second)
    free = await site.open_page(other)
    await site.advance(minutes=14)
    still = await site.open_page(second)
    third = await site.create()
    await site.advance(minutes=7)

    assert (held.status, free.status, still.status) == (409, 200, 409)
    assert "14/07/2025 à 23:50:00" in await held.text()
    assert (await site.open_page(third)).status == 200


async def test_a_second_attempt_follows_a_refusal_at_once(site: Site) -> None:
    """The first page has ended: nothing is held."""
    first, second = await site.create(), await site.create()
    await site.choose(first, "refus_carte")

    answer = await site.choose(second, "carte")

    assert answer.status == 303
    assert (await told(site, first), await told(site, second)) == ("R", "P")


async def test_the_page_shows_what_is_paid_and_to_whom(site: Site) -> None:
    """Amount, body, reference and the five choices, in French, without a script."""
    answer = await site.open_page(await site.create(amount=Decimal("1234.56")))

    text = await answer.text()
    assert '<html lang="fr">' in text
    assert "1\u202f234,56\u00a0€" in text
    assert "Régie des eaux" in text
    assert "CANTINE2026" in text
    choices = ("carte", "prelevement", "refus_carte", "refus_prelevement", "abandon")
    assert [choice for choice in choices if f'value="{choice}"' in text] == list(choices)
    assert "<script" not in text


async def test_an_unknown_choice_ends_nothing(site: Site) -> None:
    """The page comes back with a message."""
    idop = await site.create()

    answer = await site.choose(idop, "bitcoin")

    assert answer.status == 422
    assert await told(site, idop) == "P5"


def tipi(site: Site, **asked: Any) -> str:
    """Return the path and query to which eopayment's form backend sends the payer's browser."""
    payment = eopayment.Payment(
        "tipi",
        {"numcli": NUMCLI, "saisie": "A", "automatic_return_url": site.merchant.url},
    )
    wanted = {"amount": Decimal("12.34"), "email": EMAIL, "refdet": "TITRE2026000042"}
    _, kind, url = payment.request(**(wanted | asked))
    parts = urlsplit(url)
    assert kind == eopayment.URL
    assert parts.path == FORM_PATH
    return f"{parts.path}?{parts.query}"


@pytest.mark.parametrize(
    ("choice", "result", "outcome"),
    [
        ("carte", eopayment.PAID, "Paiement accepté"),
        ("refus_carte", eopayment.DENIED, "Paiement refusé"),
        ("abandon", eopayment.CANCELLED, "Paiement abandonné"),
    ],
)
async def test_the_form_mode_tells_the_merchant_all_of_it_unsigned(
    choice: str, result: int, outcome: str, site: Site
) -> None:
    """The form's fields come back to urlcl with the result, and nothing proves them."""
    query = tipi(site, exer=2026, objet="Eau potable")
    way_in = await site.http.get(query, allow_redirects=False)
    idop = way_in.headers["Location"].rpartition("idop=")[2]
    page = await site.open_page(idop)

    answer = await site.choose(idop, choice)

    (notice,) = site.merchant.notices
    reading = eopayment.Payment("tipi", {"numcli": NUMCLI}).response(
        "&".join(f"{name}={value}" for name, value in notice.items())
    )
    numauto = notice.pop("numauto", "")
    resultrans = notice.pop("resultrans")
    assert notice == {
        "numcli": NUMCLI,
        "exer": "2026",
        "refdet": "TITRE2026000042",
        "objet": "Eau potable",
        "montant": "1234",
        "mel": EMAIL,
        "saisie": "A",
        "dattrans": "14072025",
        "heurtrans": "2330",
    }
    assert reading.result == result
    assert reading.order_id == "TITRE2026000042"
    assert bool(numauto) is (resultrans == "P")
    assert "prelevement" not in await page.text()
    assert answer.status == 200
    assert outcome in await answer.text()


async def test_the_form_mode_has_no_direct_debit(site: Site) -> None:
    """Neither for a payer who asks for it nor for a test."""
    way_in = await site.http.get(tipi(site), allow_redirects=False)
    idop = way_in.headers["Location"].rpartition("idop=")[2]

    chosen = await site.choose(idop, "prelevement")
    forced = await site.http.post(f"/api/payments/{idop}/pay", json={"means": "debit"})

    assert (chosen.status, forced.status) == (422, 409)
    assert (await site.payment(idop))["resultrans"] is None


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("montant=1234", "montant=1000000", "M5"),
        ("refdet=TITRE2026000042", "refdet=ABCD", "R3"),
        ("mel=lea%40example.org", "mel=", "A1"),
        ("saisie=A", "saisie=W", "S1"),
        ("urlcl=http", "urlcl=gopher", "N1"),
    ],
)
async def test_a_wrong_form_is_refused_with_its_code(
    old: str, new: str, code: str, site: Site
) -> None:
    """The payer sees the code; no operation is made."""
    query = tipi(site)
    assert old in query

    answer = await site.http.get(query.replace(old, new), allow_redirects=False)

    assert answer.status == 400
    assert f"<code>{code}</code>" in await answer.text()
    assert await (await site.http.get("/api/payments")).json() == []


async def test_tests_may_act_in_the_payers_place(site: Site) -> None:
    """Pay, refuse or abandon by the API: the same notices and results as from the page."""
    wanted = [
        ("pay", {}, "P"),
        ("pay", {"means": "debit"}, "V"),
        ("refuse", {"means": "card"}, "R"),
        ("refuse", {"means": "debit"}, "Z"),
        ("abandon", {}, "A"),
    ]
    for number, (action, body, _) in enumerate(wanted):
        idop = await site.create(refdet=f"FACTURE{number}")
        answer = await site.http.post(f"/api/payments/{idop}/{action}", json=body)
        assert answer.status == 200

    listed = await (await site.http.get("/api/payments")).json()

    assert [entry["resultrans"] for entry in listed] == [result for _, _, result in wanted]
    assert [entry["idop"] for entry in listed] == [
        notice["idop"] for notice in site.merchant.notices
    ]


async def test_an_action_that_cannot_be_done_says_why(site: Site) -> None:
    """Unknown, ended, or asked wrongly: a problem document, and nothing changes."""
    idop = await site.create()
    await site.choose(idop, "refus_carte")
    path = f"/api/payments/{idop}/pay"

    answers = [
        await site.http.post("/api/payments/nothing/pay"),
        await site.http.post(path),
        await site.http.post(path, data="{"),
        await site.http.post(path, json={"means": "cash"}),
        await site.http.get("/api/payments/nothing"),
    ]

    slugs = [(await answer.json())["type"] for answer in answers]
    assert [answer.status for answer in answers] == [404, 409, 400, 400, 404]
    assert slugs == [
        "unknown-payment",
        "not-payable",
        "not-json",
        "invalid-means",
        "unknown-payment",
    ]
    assert (await answers[1].json())["code"] == "P3"
    assert (await site.payment(idop))["resultrans"] == "R"


async def test_the_list_can_be_narrowed(site: Site) -> None:
    """A parity report looks for one client, one reference or one result."""
    paid, unpaid = await site.create(refdet="FACTURE1"), await site.create(refdet="FACTURE2")
    await site.choose(paid, "carte")

    by_result = await (await site.http.get("/api/payments?resultrans=P")).json()
    by_state = await (await site.http.get("/api/payments?state=created")).json()

    assert [(entry["idop"], entry["amount"]) for entry in by_result] == [(paid, 1234)]
    assert [entry["idop"] for entry in by_state] == [unpaid]


@pytest.mark.parametrize("body", ["{", "[1]", '{"advance_seconds": true}', "{}"])
async def test_a_wrong_move_of_the_clock_is_refused(body: str, site: Site) -> None:
    """The clock stays where it is."""
    answer = await site.http.post("/api/clock", data=body)
    backwards = await site.http.post("/api/clock", json={"advance_seconds": -1})

    clock = await (await site.http.get("/api/clock")).json()
    assert (answer.status, backwards.status) == (400, 400)
    assert clock == {"now": "2025-07-14T21:30:00+00:00"}


async def test_the_overview_shows_clients_and_operations(site: Site) -> None:
    """For people: who may be paid, and what was."""
    idop = await site.create()
    await site.choose(idop, "carte")

    text = await (await site.http.get("/")).text()

    assert "Opérations (1)" in text
    assert idop in text
    assert "Cantine du Val (activation en cours)" in text


async def test_two_clicks_at_once_take_the_money_once(site: Site) -> None:
    """Fifty parallel choices on one idOp: one notice, one result."""
    idop = await site.create()

    answers = await asyncio.gather(*(site.choose(idop, "carte") for _ in range(50)))

    truth = await site.payment(idop)
    assert sorted(answer.status for answer in answers) == [303] + [410] * 49
    assert len(truth["results"]) == len(site.merchant.notices) == 1
