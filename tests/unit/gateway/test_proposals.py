"""FranceConnect's identity and the payers that billers describe: what links, what is proposed."""

from datetime import timedelta
from uuid import UUID

import msgspec
import pytest

from gateway.ports.links import payer_id_of
from shared.clock import FixedClock
from shared.events import InvoicePublished
from shared.events.invoice_generated import PayerIdentity
from tests.unit.gateway.door import NOW, Door, Page
from tests.unit.gateway.letters import events, letters
from tests.unit.gateway.payers import (
    IDENTITY,
    PIVOT,
    an_invoice_of,
    id_of,
    identify,
    match,
    seen_by,
)
from tests.unit.gateway.test_appearing import appeared, deliver

pytestmark = pytest.mark.enable_socket

LIKELY = msgspec.structs.replace(IDENTITY, given_names=("Camille",))
OTHER_EMAIL = "sacha@exemple.test"


async def log_in_identified(door: Door, email: str = "me@exemple.test") -> UUID:
    account_id = await door.log_in(email=email, verified=False)
    await identify(door, account_id)
    return account_id


async def confirm(door: Door, invoice: InvoicePublished, sum_: str) -> Page:
    return await door.submit(f"/compte/payeurs/{payer_id_of(invoice)}/confirmer", {"montant": sum_})


def likely(position: int = 1, identity: PayerIdentity = LIKELY, **of: str) -> InvoicePublished:
    return an_invoice_of(position, identity=identity, **of)  # type: ignore[arg-type]


async def test_six_equal_fields_link_by_themselves(door: Door) -> None:
    """C5: with the score as evidence; the invoices of before and after."""
    account_id = await log_in_identified(door)
    await deliver(door.database, an_invoice_of(2))

    await deliver(door.database, likely(1, IDENTITY))
    await deliver(door.database, an_invoice_of(3))

    page = await door.get("/compte/payeurs")
    assert await seen_by(door, account_id) == ["2026-0001", "2026-0002", "2026-0003"]
    assert "parce que votre identité FranceConnect est celle du redevable" in page.text
    assert [number for number, _, _ in await appeared(door.database)] == ["01", "03"]
    assert "link-added" in await events(door)


async def test_who_logs_in_later_is_linked_then(door: Door) -> None:
    """The payer was known before the person: once, however often they come."""
    await deliver(door.database, likely(1, IDENTITY))
    account_id = await log_in_identified(door)

    async with door.portal() as portal:
        linked = [await match(portal, account_id), await match(portal, account_id)]

    assert linked == [["2026-0001"], []]
    assert await door.count("link") == 1


async def test_a_proved_address_is_told_that_a_payer_was_added(door: Door) -> None:
    """Nobody asked for it: its owner learns it."""
    account_id = await door.log_in()
    await identify(door, account_id)

    await deliver(door.database, likely(1, IDENTITY))

    [letter] = [one for one in await letters(door) if one.kind == "link-added"]
    assert letter.details == {"authority": "Ville de Saint-Aubin", "number": "2026-0001"}


async def test_two_payers_who_match_alike_are_linked_by_nobody(door: Door) -> None:
    """C5: they are proposed, and the sum of an invoice tells which is whose."""
    account_id = await log_in_identified(door)
    twice = [likely(n, IDENTITY, reference=f"FAM-{n}") for n in (1, 2)]

    await deliver(door.database, *twice)

    assert await seen_by(door, account_id) == []
    page = await door.get("/compte/payeurs")
    assert len(page.elements("//input[@name='montant']")) == 2


async def test_payers_of_two_towns_are_each_linked(door: Door) -> None:
    """One person is one payer of each: alike across towns is no doubt."""
    account_id = await log_in_identified(door)

    await deliver(door.database, likely(1, IDENTITY), likely(2, IDENTITY, authority="val-de-brume"))

    assert await seen_by(door, account_id) == ["2026-0001", "2026-0002"]


async def test_a_likely_payer_is_proposed_and_nothing_of_theirs_is_told(door: Door) -> None:
    """Where, and how many: neither a name, nor a sum, nor a number."""
    account_id = await log_in_identified(door)
    await deliver(door.database, likely())

    page = await door.get("/compte/payeurs")

    assert await seen_by(door, account_id) == []
    assert "Ces factures sont peut-être les vôtres" in page.text
    assert "Ville de Saint-Aubin" in page.text
    for told in ("Martin", "MARTIN", "2026-0001", "41,50 €", "FAM-0042"):
        assert told not in page.text.replace("par exemple 41,50", "")


async def test_the_exact_sum_confirms_a_proposal(door: Door) -> None:
    """Then it is a link, with its evidence."""
    account_id = await log_in_identified(door)
    await deliver(door.database, likely())

    done = await confirm(door, likely(), "41,50")

    page = await door.get("/compte/payeurs")
    assert (done.status, done.location) == (303, "/compte/payeurs?fait=ajoute")
    assert await seen_by(door, account_id) == ["2026-0001"]
    assert "Ces factures sont peut-être les vôtres" not in page.text


@pytest.mark.parametrize("sum_", ["41,51", "0", "", "beaucoup", "-41,50"])
async def test_another_sum_confirms_nothing(door: Door, sum_: str) -> None:
    """And the proposal stays."""
    account_id = await log_in_identified(door)
    await deliver(door.database, likely())

    page = await confirm(door, likely(), sum_)

    assert page.status == 422
    assert "Aucune de ces factures n’a ce montant." in page.text
    assert await seen_by(door, account_id) == []


async def test_a_payer_who_is_not_proposed_cannot_be_confirmed(door: Door) -> None:
    """ASVS 8.2.2: the right sum and id are no proposal; it answers as a wrong sum does."""
    await deliver(door.database, likely())
    account_id = await door.log_in(email=OTHER_EMAIL, verified=False)

    answers = [
        await confirm(door, likely(), "41,50"),
        await door.submit("/compte/payeurs/none/confirmer", {"montant": "41,50"}),
        await door.submit(f"/compte/payeurs/{payer_id_of(likely())}/ecarter"),
    ]

    assert [page.status for page in answers] == [422, 422, 404]
    assert await seen_by(door, account_id) == []
    assert await door.count("link") == 0
    assert await door.count("refusal") == 0


async def test_sums_are_not_tried_one_after_the_other(door: Door) -> None:
    """S8: five for one proposal, then ever slower."""
    account_id = await log_in_identified(door)
    await deliver(door.database, likely())

    statuses = [(await confirm(door, likely(), f"{n},00")).status for n in range(1, 6)]
    statuses.append((await confirm(door, likely(), "41,50")).status)

    assert statuses == [422] * 5 + [429]
    assert await seen_by(door, account_id) == []


async def test_a_proposal_that_was_refused_stays_away(door: Door) -> None:
    """Also when the biller corrects the identity to the very same."""
    account_id = await log_in_identified(door)
    await deliver(door.database, likely())

    await door.submit(f"/compte/payeurs/{payer_id_of(likely())}/ecarter")
    await deliver(
        door.database,
        msgspec.structs.replace(likely(2, IDENTITY), published_at=NOW.replace(hour=15)),
    )

    page = await door.get("/compte/payeurs")
    assert await seen_by(door, account_id) == []
    assert "Ces factures sont peut-être les vôtres" not in page.text


@pytest.mark.parametrize(
    "changes",
    [
        {"birthdate": "1984-05-13"},
        {"given_names": ("Anne",)},
        {"birthplace": "69123"},
        {"birthdate": "1984-00-00", "birthplace": None},
        {"family_name": "DURAND", "gender": None},
    ],
)
async def test_somebody_else_is_neither_linked_nor_proposed(
    door: Door, changes: dict[str, str | None]
) -> None:
    """Below the band, or contradicted: a name alone never links."""
    account_id = await log_in_identified(door)

    await deliver(door.database, likely(1, msgspec.structs.replace(IDENTITY, **changes)))

    page = await door.get("/compte/payeurs")
    assert await seen_by(door, account_id) == []
    assert "Ces factures sont peut-être les vôtres" not in page.text


@pytest.mark.parametrize("ours", ["1984-05-00", "1984-00-00", "1984-05-12"])
@pytest.mark.parametrize("theirs", ["1984-05-00", "1984-00-00", "1984-05-12"])
async def test_partial_birthdates_are_found_either_way(door: Door, ours: str, theirs: str) -> None:
    """Who knows less hides no payer; only two whole dates link by themselves."""
    account_id = await door.log_in(verified=False)
    await identify(door, account_id, msgspec.structs.replace(PIVOT, birthdate=ours))

    await deliver(door.database, likely(1, msgspec.structs.replace(IDENTITY, birthdate=theirs)))

    page = await door.get("/compte/payeurs")
    is_whole = ours == theirs == "1984-05-12"
    assert await seen_by(door, account_id) == (["2026-0001"] if is_whole else [])
    assert ("Ces factures sont peut-être les vôtres" in page.text) is not is_whole


async def test_the_latest_word_of_the_biller_counts(door: Door, clock: FixedClock) -> None:
    """An older message that comes late does not bring a corrected identity back."""
    account_id = await log_in_identified(door)
    wrong = msgspec.structs.replace(IDENTITY, birthdate="1990-01-01")
    newer = msgspec.structs.replace(likely(2, wrong), published_at=NOW + timedelta(hours=1))

    await deliver(door.database, newer)
    await deliver(door.database, likely(1, IDENTITY))

    async with door.portal() as portal:
        assert await match(portal, account_id) == []
    assert await seen_by(door, account_id) == []


async def test_without_franceconnect_nothing_is_proposed(door: Door) -> None:
    """An identity that somebody merely types is none: there is no place to type one."""
    account_id = await door.log_in(verified=False)

    await deliver(door.database, likely(1, IDENTITY))

    assert "peut-être" not in (await door.get("/compte/payeurs")).text
    assert await seen_by(door, account_id) == []
    assert (await door.get(f"/factures/{id_of(1)}")).status == 404
