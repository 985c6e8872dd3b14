"""Every fault switch of PayFiP: what the merchant sees, and what the provider's list says."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import eopayment
import pytest
import pytest_asyncio
from eopayment.payfip_ws import PayFiPError

from simulators.payfip.app import SWITCHES, Terms
from tests.unit.simulators.payfip_builders import Site, running_site

pytestmark = [pytest.mark.asyncio, pytest.mark.enable_socket]


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    """Run the site."""
    async with running_site() as running:
        yield running


async def told(site: Site, idop: str) -> str:
    """Return the result, or the code of the fault, that the web service tells."""
    try:
        return str((await site.ask(idop)).resultrans)
    except PayFiPError as error:
        return str(error.code)


async def paid_with(site: Site, choice: str = "carte", **switches: object) -> str:
    """Set switches, pay, and return the idOp."""
    await site.set_faults(**switches)
    idop = await site.create()
    answer = await site.choose(idop, choice)
    assert answer.status == 303
    return idop


async def test_every_switch_is_offered_and_off(site: Site) -> None:
    """What issue and documents name is there."""
    shown = await (await site.http.get("/api/faults")).json()

    assert set(shown) == set(SWITCHES)
    assert not any(shown.values())


async def test_a_lost_notice_leaves_the_result_to_be_asked(site: Site) -> None:
    """Nobody is told; the web service tells whoever asks. The next notice arrives."""
    lost = await paid_with(site, lost_notice=1)
    notices = list(site.merchant.notices)
    await site.set_faults()
    other = await site.create(refdet="MUSIQUE2026")
    await site.choose(other, "carte")

    assert notices == []
    assert await told(site, lost) == "P"
    assert (await site.payment(lost))["faults"] == ["lost_notice"]
    assert site.merchant.notices == [{"idop": other}]


async def test_a_double_notice_comes_twice(site: Site) -> None:
    """The same idOp, two times."""
    idop = await paid_with(site, double_notice=1)

    assert site.merchant.notices == [{"idop": idop}, {"idop": idop}]
    assert [notice["answer_code"] for notice in (await site.payment(idop))["notices"]] == [200, 200]


async def test_an_early_notice_comes_before_the_result_is_readable(site: Site) -> None:
    """P5 to the merchant that asks at once, the result a minute later."""
    idop = await paid_with(site, early_notice=1)
    notices, at_once = list(site.merchant.notices), await told(site, idop)
    waiting = (await site.status(idop)).result

    await site.advance(seconds=60)

    assert notices == [{"idop": idop}]
    assert at_once == "P5"
    assert waiting == eopayment.WAITING
    assert await told(site, idop) == "P"


async def test_a_delayed_notice_comes_when_its_time_has_come(site: Site) -> None:
    """The browser is back before it."""
    idop = await paid_with(site, notice_delay_seconds=30)
    before = list(site.merchant.notices)

    await site.advance(seconds=30)
    await site.quiet()

    assert before == []
    assert site.merchant.notices == [{"idop": idop}]


async def test_a_late_success_turns_an_abandonment_into_a_payment(site: Site) -> None:
    """A, then P with a number of authorisation and a notice of its own."""
    idop = await paid_with(site, "abandon", late_success=1)
    first = (await told(site, idop), await site.payment(idop))

    await site.advance(seconds=60)
    await site.quiet()

    truth = await site.payment(idop)
    assert first[0] == "A"
    assert first[1]["is_paid"] is False
    assert [result["resultrans"] for result in first[1]["results"]] == ["A"]
    assert await told(site, idop) == "P"
    assert truth["is_paid"] is True
    assert len(truth["numauto"]) == 6
    assert site.merchant.notices == [{"idop": idop}] * 2


async def test_a_result_that_is_never_known_is_p5_for_ever(site: Site) -> None:
    """The money was taken and no asking tells; only the provider's own list does."""
    idop = await paid_with(site, p5_for_ever=1)
    first = await told(site, idop)

    await site.advance(days=30)

    assert (first, await told(site, idop)) == ("P5", "P5")
    assert (await site.payment(idop))["is_paid"] is True


async def test_a_paid_idop_can_be_cleaned_away_at_midnight(site: Site) -> None:
    """P until the night, then P1, though the money was taken."""
    idop = await paid_with(site, p1_after_midnight=1)
    before = await told(site, idop)

    await site.advance(minutes=30)

    truth = await site.payment(idop)
    assert (before, await told(site, idop)) == ("P", "P1")
    assert (truth["is_paid"], truth["is_forgotten"]) == (True, True)


async def test_a_direct_debit_can_come_back(site: Site) -> None:
    """V, then Z without a notice: one has to keep asking. A card payment is not hit."""
    await site.set_faults(v_then_z=1)
    card = await site.create(refdet="MUSIQUE2026")
    await site.choose(card, "carte")
    debit = await site.create()
    await site.choose(debit, "prelevement")
    first = await told(site, debit)

    await site.advance(seconds=60)
    await site.quiet()

    assert (first, await told(site, debit), await told(site, card)) == ("V", "Z", "P")
    assert (await site.payment(debit))["is_paid"] is False
    assert site.merchant.notices == [{"idop": card}, {"idop": debit}]


async def test_how_long_the_truth_hides_can_be_set() -> None:
    """`--settle-after` is the wait of the three switches above."""
    async with running_site(Terms(settle_after=timedelta(days=3))) as site:
        idop = await paid_with(site, "prelevement", v_then_z=1)
        await site.advance(days=2)
        second_day = await told(site, idop)

        await site.advance(days=1)

        assert (second_day, await told(site, idop)) == ("V", "Z")


async def test_the_answer_of_a_creation_can_be_cut(site: Site) -> None:
    """The idOp exists, the merchant never hears of it, and the next creation works."""
    await site.set_faults(timeout_after_create=1)

    with pytest.raises(PayFiPError) as cut:
        await site.create()
    (orphan,) = await (await site.http.get("/api/payments")).json()
    second = await site.create()

    assert cut.value.code == "HTTP error"
    assert orphan["state"] == "created"
    assert orphan["faults"] == ["timeout_after_create"]
    assert second != orphan["idop"]


@pytest.mark.parametrize(
    ("switch", "kind"),
    [
        ("soap_fault_999", "TechDysfonctionnementErreur"),
        ("soap_unavailable", "TechIndisponibiliteErreur"),
    ],
)
async def test_a_technical_fault_changes_nothing(switch: str, kind: str, site: Site) -> None:
    """The code is in the detail; eopayment reads the name of the exception only."""
    idop = await site.create()
    await site.choose(idop, "carte")
    await site.set_faults(**{switch: 1})

    with pytest.raises(PayFiPError) as fault:
        await site.ask(idop)

    assert fault.value.code == "unknown"
    assert fault.value.message == f"fr.gouv.finances.cp.tpa.webservice.exceptions.{kind}"
    detail = fault.value.origin.detail[0]
    assert detail.tag.endswith(f"}}{kind}")
    assert detail.findtext("code") == "999"
    assert await told(site, idop) == "P"


async def test_a_server_error_hits_service_and_pages_and_not_the_api(site: Site) -> None:
    """502 without SOAP to the merchant, 503 to the payer; list and description stay well."""
    await site.set_faults(server_error=2)

    with pytest.raises(PayFiPError) as fault:
        await site.create()
    page = await site.open_page("nothing")
    listed = await site.http.get("/api/payments")
    described = await site.http.get("/tpa/services/securite?wsdl")

    # eopayment keeps what the HTTP layer said.
    assert fault.value.code == "SOAP error"
    assert "502" in fault.value.message
    assert (page.status, listed.status, described.status) == (503, 200, 200)
    assert await listed.json() == []
    assert await site.create() != ""


async def test_a_slow_site_answers_when_its_time_has_come(site: Site) -> None:
    """Merchant and payer wait; the API does not."""
    idop = await site.create()
    await site.set_faults(slow_seconds=600)
    asking = asyncio.create_task(site.open_page(idop))
    # The request is on its way through the loop: there is nothing here to be woken by.
    while not site.clock.sleepers:  # noqa: ASYNC110
        await asyncio.sleep(0)
    is_done = asking.done()

    await site.advance(minutes=10)

    assert not is_done
    assert (await asking).status == 200


async def test_a_merchant_that_is_down_is_told_once() -> None:
    """There is no second try, and the payer comes back all the same."""
    async with running_site() as site:
        site.merchant.url = "http://127.0.0.1:1/notify"
        idop = await paid_with(site)

        (notice,) = (await site.payment(idop))["notices"]
        assert notice["answer_code"] is None
        assert notice["error"]
