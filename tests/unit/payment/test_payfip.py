"""PayFiP's web service, played on this machine: what is asked, what is believed, what is not."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from aiohttp import web

from payment.adapters.library import Calls
from payment.adapters.payfip import PayfipAccount
from payment.adapters.payfip_soap import FAMILIES, SENTENCES
from payment.domain import AttemptState, Notice
from payment.ports import (
    Handover,
    MalformedNoticeError,
    Nudge,
    Order,
    ProviderRefusedError,
    ProviderUnavailableError,
    Question,
)
from shared.clock import FixedClock
from tests.unit.payment.payfip_stand_in import IDOP, Fault, StandIn, a_detail, open_payfip
from tests.unit.payment.provider_builders import (
    CALLS,
    DEBT,
    NOTIFY_URL,
    NOW,
    NUMCLI,
    ORDER_ID,
    RETURN_URL,
    a_debt,
    a_payfip_contract,
    a_raw,
    an_order,
    ticks_during,
)

pytestmark = pytest.mark.enable_socket

PAGE_URL = "https://www.payfip.gouv.fr/tpa/paiementws.web"
FUNCTIONAL = "FonctionnelleErreur"
TECHNICAL = ["TechDysfonctionnementErreur", "TechIndisponibiliteErreur", "TechProtocolaireErreur"]


@pytest_asyncio.fixture
async def payfip() -> AsyncIterator[StandIn]:
    """Return a stand-in that is open until the test ends."""
    async with open_payfip() as stand_in:
        yield stand_in


def an_account(
    payfip: StandIn, now: datetime = NOW, *, calls: Calls = CALLS, **changes: Any
) -> PayfipAccount:
    """Return a client number that speaks to the stand-in."""
    contract = a_payfip_contract(**({"service_url": payfip.url} | changes))
    return PayfipAccount(contract, NOTIFY_URL, calls, FixedClock(now))


def a_question(**changes: object) -> Question:
    """Return what is asked about the operation, with what `prepare` left for it."""
    question = Question(
        order_id=ORDER_ID,
        reference=IDOP,
        amount_cents=41_00,
        started_at=NOW,
        asked_count=0,
        raw=msgspec.json.encode({"numcli": NUMCLI, "refdet": ORDER_ID}),
    )
    return msgspec.structs.replace(question, **changes)


async def prepare(payfip: StandIn, order: Order, **changes: Any) -> Handover:
    """Return the way to PayFiP's page for an order."""
    return await an_account(payfip, **changes).prepare(order)


async def ask(
    payfip: StandIn, answer: dict[str, str | None] | Fault, after: timedelta = timedelta(minutes=5)
) -> Notice | None:
    """Return what an answer means, some time after the start."""
    payfip.answer = answer
    return await an_account(payfip, NOW + after).ask(a_question())


async def test_an_operation_is_made_for_a_regie_under_our_reference(payfip: StandIn) -> None:
    """A new debt for each attempt, since PayFiP takes none twice."""
    handover = await prepare(payfip, an_order())

    expected = {
        "exer": "2026",
        "mel": "camille.martin@exemple.test",
        "montant": "4100",
        "numcli": NUMCLI,
        "objet": "Repas d octobre",
        "refdet": ORDER_ID,
        "saisie": "T",
        "urlnotif": NOTIFY_URL,
        "urlredirect": RETURN_URL,
    }
    assert [("creerPaiementSecurise", expected)] == payfip.asked
    assert (f"{PAGE_URL}?idop={IDOP}", "GET", {}) == (
        handover.form.url,
        handover.form.method,
        handover.form.fields,
    )
    assert (NOW.date(), IDOP, IDOP) == (
        handover.provider_day,
        handover.provider_number,
        handover.reference,
    )
    assert handover.raw is not None
    assert {"numcli": NUMCLI, "refdet": ORDER_ID} == msgspec.json.decode(handover.raw)


async def test_an_operation_names_a_debt_of_the_treasury(payfip: StandIn) -> None:
    """The treasury's own reference and year; the order stands in the object."""
    order = a_debt(fiscal_year=2025)

    handover = await prepare(payfip, order, route="treasury", saisie="W")

    [(_, asked)] = payfip.asked
    assert (DEBT, "2025", "W") == (asked["refdet"], asked["exer"], asked["saisie"])
    assert f"O {ORDER_ID} S Repas d octobre" == asked["objet"]
    assert handover.raw is not None
    assert {"numcli": NUMCLI, "refdet": DEBT} == msgspec.json.decode(handover.raw)


async def test_the_year_of_a_regie_turns_at_midnight_in_france(payfip: StandIn) -> None:
    """And not an hour later."""
    handover = await prepare(payfip, an_order(), now=datetime(2026, 12, 31, 23, 30, tzinfo=UTC))

    assert "2027" == payfip.asked[0][1]["exer"]
    assert "2027-01-01" == handover.provider_day.isoformat()


async def test_the_page_is_where_the_account_says(payfip: StandIn) -> None:
    """A simulator differs by it."""
    page = "http://127.0.0.1:9/tpa/paiementws.web"

    handover = await prepare(payfip, an_order(), page_url=page)

    assert f"{page}?idop={IDOP}" == handover.form.url


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"debt_reference": None}, "R3"),
        ({"debt_reference": "ABCD"}, "R3"),
        ({"debt_reference": "2026-42"}, "R3"),
        ({"fiscal_year": None}, "E1"),
        ({"email": None}, "A1"),
        ({"email": "a@b.c"}, "A2"),
        ({"email": "a" * 80 + "@b"}, "A2"),
    ],
)
async def test_refuses_what_payfip_would_refuse_without_asking(
    payfip: StandIn, changes: dict[str, object], code: str
) -> None:
    """Each would cost the payer a call, and PayFiP looks at the address first of all."""
    with pytest.raises(ProviderRefusedError) as refused:
        await prepare(payfip, a_debt(**changes), route="treasury")

    assert code == refused.value.code
    assert [] == payfip.asked


@pytest.mark.parametrize("code", [*SENTENCES, "T10", "M9", "O1"])
async def test_a_functional_fault_is_a_refusal_with_a_sentence(payfip: StandIn, code: str) -> None:
    """The sentence is ours: theirs speaks of parameters."""
    payfip.answer = Fault(FUNCTIONAL, code)

    with pytest.raises(ProviderRefusedError) as refused:
        await prepare(payfip, an_order())

    assert code == refused.value.code
    assert refused.value.detail in {SENTENCES.get(code), FAMILIES[code[0]]}


async def test_a_functional_fault_without_a_code_is_a_refusal_as_well(payfip: StandIn) -> None:
    """Trying the same again would not help."""
    payfip.answer = Fault(FUNCTIONAL, "")

    with pytest.raises(ProviderRefusedError):
        await prepare(payfip, an_order())


@pytest.mark.parametrize("kind", TECHNICAL)
async def test_a_technical_fault_says_nothing_of_the_order(payfip: StandIn, kind: str) -> None:
    """999 at their own dysfunction; the other two likewise."""
    payfip.answer = Fault(kind, "999")

    for call in (prepare(payfip, an_order()), an_account(payfip).ask(a_question())):
        with pytest.raises(ProviderUnavailableError):
            await call


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (502, b"<html>Bad Gateway</html>"),
        (503, b""),
        (200, b""),
        (200, b"<html>maintenance</html>"),
        (200, b'<!DOCTYPE x [<!ENTITY e "e">]><x>&e;</x>'),
    ],
)
async def test_an_answer_that_is_no_soap_says_nothing_of_the_order(
    payfip: StandIn, status: int, body: bytes
) -> None:
    """What comes from a proxy on the way, or a page of maintenance."""
    payfip.answer = web.Response(status=status, body=body)

    for call in (prepare(payfip, an_order()), an_account(payfip).ask(a_question())):
        with pytest.raises(ProviderUnavailableError):
            await call


async def test_an_answer_without_an_operation_is_none(payfip: StandIn) -> None:
    """The library would lead the payer to the operation called `None`."""
    payfip.answer = {}

    for call in (prepare(payfip, an_order()), an_account(payfip).ask(a_question())):
        with pytest.raises(ProviderUnavailableError):
            await call


async def test_nobody_at_home_says_nothing_of_the_order(payfip: StandIn) -> None:
    """The connection is refused."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/tpa/services/securite"

        with pytest.raises(ProviderUnavailableError) as unavailable:
            await prepare(payfip, an_order(), service_url=url)

    assert "camille" not in str(unavailable.value)


async def test_who_does_not_answer_is_waited_for_no_longer_than_the_limit(payfip: StandIn) -> None:
    """The payer is told to come back."""
    payfip.is_open.clear()

    with pytest.raises(ProviderUnavailableError, match="in time"):
        await an_account(payfip, calls=Calls("test", threads=1, seconds=0.2)).ask(a_question())
    payfip.is_open.set()


async def test_a_slow_payfip_does_not_stop_the_event_loop(payfip: StandIn) -> None:
    """Fifty payers wait at PayFiP, and the others do not."""
    payfip.is_open.clear()

    async def prepare_fifty() -> None:
        account = an_account(payfip)
        started = [asyncio.create_task(account.prepare(an_order())) for _ in range(50)]
        await payfip.is_busy.wait()
        payfip.is_open.set()
        handovers = await asyncio.gather(*started)
        assert {IDOP} == {handover.reference for handover in handovers}

    assert await ticks_during(prepare_fifty) > 50
    assert 50 == len(payfip.asked)


def test_a_notice_is_an_operation_to_ask_about(payfip: StandIn) -> None:
    """D18: it is not signed; it comes by POST, and the name is written in two ways."""
    account = an_account(payfip)

    for name in ("idop", "idOp"):
        form = f"{name}={IDOP}"
        for raw in (a_raw(form.encode()), a_raw(query=form), a_raw(b"resultrans=P", form)):
            assert Nudge(reference=IDOP) == account.read_notice(raw)


@pytest.mark.parametrize(
    ("body", "query"),
    [
        (b"", ""),
        (b"idop=", ""),
        (b"idop=short", ""),
        (b"idop=%3Cscript%3E%3C%2Fscript%3E", ""),
        (f"idop={IDOP}&idOp={IDOP}".encode(), ""),
        (f"idop={IDOP}&idop={IDOP}".encode(), ""),
        (f"idop={IDOP}".encode(), f"idop={IDOP}"),
        (b"refdet=2026", ""),
        ("idop=é".encode(), ""),
    ],
)
def test_refuses_a_notice_that_names_no_operation(payfip: StandIn, body: bytes, query: str) -> None:
    """Anybody may post here."""
    with pytest.raises(MalformedNoticeError):
        an_account(payfip).read_notice(a_raw(body, query))


async def test_reads_what_payfip_says_of_a_paid_operation(payfip: StandIn) -> None:
    """S15: paid only after our own call, with everything equal to what was asked."""
    notice = await ask(payfip, a_detail())

    assert [("recupererDetailPaiementSecurise", {"idOp": IDOP})] == payfip.asked
    assert (
        Notice(
            order_id=ORDER_ID,
            fact=f"{IDOP}/P/4100",
            state=AttemptState.CAPTURED,
            amount_cents=41_00,
            currency="EUR",
            provider_reference=IDOP,
            means="payfip",
            raw=a_question().raw,
        )
        == notice
    )


@pytest.mark.parametrize(
    ("letter", "state", "means", "is_settled"),
    [
        ("P", AttemptState.CAPTURED, "payfip", True),
        ("V", AttemptState.CAPTURED, "direct_debit", False),
        ("R", AttemptState.REFUSED, "payfip", True),
        ("Z", AttemptState.REFUSED, "direct_debit", True),
        ("A", AttemptState.ABANDONED, "payfip", True),
        ("Q", None, "payfip", True),
    ],
)
async def test_reads_each_letter_and_waits_on_one_it_does_not_know(
    payfip: StandIn, letter: str, state: AttemptState | None, means: str, *, is_settled: bool
) -> None:
    """W19, W20: a debit is paid and may still come back; an unknown letter is for people."""
    answer = a_detail(resultrans=letter, numauto="112233" if letter in "PV" else None)

    notice = await ask(payfip, answer)

    assert notice is not None
    assert (state, means, is_settled) == (notice.state, notice.means, notice.is_settled)
    assert not notice.fields_differ


@pytest.mark.parametrize(
    "changes",
    [
        {"numcli": "999999"},
        {"numcli": None},
        {"refdet": "Z" * 16},
        {"refdet": None},
        {"montant": "4101"},
        {"montant": "41.00"},
        {"montant": None},
        {"montant": "9" * 5000},
        {"idOp": "0" * 36},
        {"idOp": None},
    ],
)
async def test_tells_apart_an_answer_about_something_else(
    payfip: StandIn, changes: dict[str, str | None]
) -> None:
    """W18: the operation of another invoice that is paid pays nothing here."""
    notice = await ask(payfip, a_detail(**changes))

    assert notice is not None
    assert notice.fields_differ


@pytest.mark.parametrize("saisie", ["W", "X", None])
async def test_a_test_payment_never_pays_a_real_invoice(
    payfip: StandIn, saisie: str | None
) -> None:
    """W4: nor a real one a test."""
    notice = await ask(payfip, a_detail(saisie=saisie))

    assert notice is not None
    assert notice.is_foreign


async def test_a_debt_of_the_treasury_is_compared_with_its_own_reference(payfip: StandIn) -> None:
    """What `prepare` left says which debt was asked for, also after the account changed."""
    payfip.answer = a_detail(refdet=DEBT)
    raw = msgspec.json.encode({"numcli": NUMCLI, "refdet": DEBT})
    account = an_account(payfip, numcli="999999", route="treasury")

    right, wrong = [await account.ask(a_question(raw=one)) for one in (raw, a_question().raw)]

    assert right is not None
    assert wrong is not None
    assert (False, True) == (right.fields_differ, wrong.fields_differ)


@pytest.mark.parametrize(
    ("minutes", "is_known"), [(0, False), (1, False), (1.9, False), (2, True), (60, True)]
)
async def test_an_abandonment_is_held_for_two_minutes(
    payfip: StandIn, minutes: float, *, is_known: bool
) -> None:
    """The page may still be open; 14:05 in Paris is 13:05 here."""
    answer = a_detail(resultrans="A", numauto=None, heurtrans="1405")

    notice = await ask(payfip, answer, timedelta(minutes=minutes))

    assert is_known is (notice is not None)


@pytest.mark.parametrize(("minutes", "is_known"), [(16, False), (18, True)])
async def test_an_abandonment_without_its_time_is_held_as_long_as_the_page_lives(
    payfip: StandIn, minutes: int, *, is_known: bool
) -> None:
    """Nobody can say how fresh it is."""
    answer = a_detail(resultrans="A", numauto=None, heurtrans=None)

    notice = await ask(payfip, answer, timedelta(minutes=minutes))

    assert is_known is (notice is not None)


@pytest.mark.parametrize(
    ("minutes", "state"),
    [(0, None), (16, None), (119, None), (120, AttemptState.EXPIRED), (999, AttemptState.EXPIRED)],
)
async def test_an_operation_without_a_result_is_unknown_for_two_hours(
    payfip: StandIn, minutes: int, state: AttemptState | None
) -> None:
    """P5 comes before a payment, during it, and for ever without one."""
    notice = await ask(payfip, Fault(FUNCTIONAL, "P5"), timedelta(minutes=minutes))

    assert state is (notice.state if notice else None)


@pytest.mark.parametrize(
    ("started_at", "now", "is_known"),
    [
        # Before midnight in France (23:00 here in winter), the night has purged nothing yet.
        (NOW, datetime(2026, 11, 24, 22, 59, tzinfo=UTC), False),
        (NOW, datetime(2026, 11, 24, 23, 0, tzinfo=UTC), True),
        # One that was just made lives its time.
        (
            datetime(2026, 11, 24, 22, 55, tzinfo=UTC),
            datetime(2026, 11, 24, 23, 5, tzinfo=UTC),
            False,
        ),
        (
            datetime(2026, 11, 24, 22, 55, tzinfo=UTC),
            datetime(2026, 11, 24, 23, 10, tzinfo=UTC),
            True,
        ),
    ],
)
async def test_an_operation_that_the_night_purged_was_never_paid(
    payfip: StandIn, started_at: datetime, now: datetime, *, is_known: bool
) -> None:
    """P1 never heals, and on the same day it says nothing."""
    payfip.answer = Fault(FUNCTIONAL, "P1")

    notice = await an_account(payfip, now).ask(a_question(started_at=started_at))

    assert is_known is (notice is not None)
    assert notice is None or notice.state is AttemptState.EXPIRED


@pytest.mark.parametrize("code", ["P3", "T2"])
async def test_another_refusal_to_answer_decides_nothing(payfip: StandIn, code: str) -> None:
    """It is told as it is, and the attempt stays as it was."""
    with pytest.raises(ProviderRefusedError) as refused:
        await ask(payfip, Fault(FUNCTIONAL, code), timedelta(days=2))

    assert code == refused.value.code


@pytest.mark.parametrize("reference", ["", "x", "<idOp/>"])
async def test_asks_about_nothing_but_an_operation(payfip: StandIn, reference: str) -> None:
    """Without an answer to `prepare` nobody was led to PayFiP."""
    with pytest.raises(ProviderRefusedError):
        await an_account(payfip).ask(a_question(reference=reference))
    assert [] == payfip.asked


async def test_the_same_answer_is_the_same_fact_and_another_letter_another(
    payfip: StandIn,
) -> None:
    """A debit that is returned later is a fact of its own."""
    letters = ["V", "V", "Z"]

    notices = [await ask(payfip, a_detail(resultrans=letter)) for letter in letters]

    first, again, returned = (notice.fact for notice in notices if notice)
    assert first == again
    assert first != returned


async def test_nothing_of_a_payer_reaches_the_log(
    payfip: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    """S26: the SOAP library logs whole messages at its most talkative."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="zeep.transports")

    await prepare(payfip, an_order())
    await ask(payfip, a_detail())

    assert "camille.martin" not in caplog.text
    assert ORDER_ID not in caplog.text


def test_the_rules_are_those_of_payfip(payfip: StandIn) -> None:
    """From 1 € to 100 000 €, twenty minutes between two attempts, one debt of the treasury."""
    regie, treasury = (an_account(payfip, route=route).rules for route in ("regie", "treasury"))

    assert (1_00, 100_000_00, True, True) == (
        regie.minimum_cents,
        regie.maximum_cents,
        regie.can_be_asked,
        regie.needs_email,
    )
    assert timedelta(minutes=20) == regie.pause_between_attempts
    assert (True, False) == (regie.takes_several, treasury.takes_several)
    assert (frozenset({"regie"}), frozenset({"treasury"})) == (regie.routes, treasury.routes)
