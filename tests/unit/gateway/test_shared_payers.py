"""A payer whom several accounts see: each of them knows that it is not alone."""

from datetime import timedelta

import pytest

from gateway.store.links import OTHERS_WRITTEN_TO
from shared.clock import FixedClock
from shared.events import LetterDue
from tests.unit.gateway.door import EMAIL, ISSUER, Door
from tests.unit.gateway.letters import letters
from tests.unit.gateway.payers import an_invoice_of, token_of

pytestmark = pytest.mark.enable_socket

SECOND = "sacha@exemple.test"
THIRD = "alex@exemple.test"
LINE = "Redevable que vous voyez, ajouté aussi à un autre compte"


async def attach(door: Door, email: str, *positions: int, verified: bool = True) -> None:
    door.forget_cookies()
    await door.log_in(email=email, verified=verified)
    for position in positions:
        assert (await door.submit(f"/q/{token_of(position)}/rattacher")).status == 303


async def told_others(door: Door) -> list[LetterDue]:
    """Return the letters to those who saw the payer before."""
    return [one for one in await letters(door) if one.details.get("account") == "other"]


async def test_who_sees_a_payer_is_told_of_another_account_that_does(door: Door) -> None:
    """By a link and by the address: which authority, when, where to look; never who."""
    await door.publish(an_invoice_of(1), an_invoice_of(2, email=SECOND))
    await attach(door, EMAIL, 1)
    await door.add_account(email=SECOND)
    before = len(await told_others(door))

    await attach(door, THIRD, 1)

    told = (await told_others(door))[before:]
    assert sorted(one.email for one in told) == sorted([EMAIL, SECOND])
    for one in told:
        assert one.kind == "link-added"
        assert one.link == f"{ISSUER}/compte/payeurs"
        assert one.details == {
            "authority": "Ville de Saint-Aubin",
            "moment": "24\u00a0novembre\u00a02026\u00a0à\u00a014\u00a0h\u00a005",
            "account": "other",
        }


async def test_the_activity_of_the_others_has_a_line(door: Door) -> None:
    """Also where no address is proved; the one who linked has their own, and nobody's place."""
    await door.publish(an_invoice_of(1))
    await attach(door, EMAIL, 1, verified=False)
    await attach(door, SECOND, 1)

    async with door.database.reading() as connection:
        rows = await connection.fetch(
            "SELECT email, subscriber, browser FROM account_event JOIN account USING (account_id)"
            " WHERE kind = 'link-shared'"
        )
    own = await door.get("/compte/activite")

    assert [tuple(row) for row in rows] == [(EMAIL, "", "")]
    assert await told_others(door) == []
    assert LINE not in own.text


@pytest.mark.parametrize(
    "other",
    [
        an_invoice_of(2, name="Jean Dupont"),
        an_invoice_of(2, reference="FAM-0043"),
        an_invoice_of(2, authority="val-de-brume"),
    ],
    ids=["another person of that reference", "another reference", "another town"],
)
async def test_who_sees_another_payer_is_not_told(door: Door, other: object) -> None:
    """Nor who revoked this one."""
    assert isinstance(other, type(an_invoice_of(1)))
    await door.publish(an_invoice_of(1), other)
    await attach(door, EMAIL, 2)
    await attach(door, SECOND, 1)

    page = await door.get("/compte/payeurs")

    assert await told_others(door) == []
    assert "voit aussi" not in page.text


async def test_each_payer_says_how_many_others_see_it(door: Door) -> None:
    """A number alone."""
    await door.publish(
        an_invoice_of(1), an_invoice_of(2, email=SECOND), an_invoice_of(3, reference="EAU-7")
    )
    await attach(door, EMAIL, 1, 3)
    alone = await door.get("/compte/payeurs")
    await door.add_account(email=SECOND)
    await attach(door, THIRD, 1)

    page = await door.get("/compte/payeurs")

    assert "voit aussi" not in alone.text
    assert "2 autres comptes voient aussi ces factures." in page.text
    assert EMAIL not in page.text
    assert SECOND not in page.text


async def test_adding_and_removing_over_and_over_writes_once_a_day(
    door: Door, clock: FixedClock
) -> None:
    """Nobody's mailbox is filled; the activity tells every time."""
    invoice = an_invoice_of(1)
    await door.publish(invoice)
    await attach(door, EMAIL, 1)
    await attach(door, SECOND, 1)
    paths = [one.get("href") for one in (await door.get("/compte/payeurs")).elements("//a")]
    [revocation] = [path for path in paths if path.endswith("/retirer")]

    await door.submit(revocation)
    await door.submit(f"/q/{token_of(1)}/rattacher")
    again = len(await told_others(door))
    await door.submit(revocation)
    clock.advance(timedelta(days=1, seconds=1))
    door.forget_cookies()
    await attach(door, THIRD, 1)

    assert again == 1
    assert [one.email for one in await told_others(door)] == [EMAIL, EMAIL]
    assert await door.count("account_event WHERE kind = 'link-shared'") == 3


async def test_no_more_than_twenty_letters_leave(door: Door) -> None:
    """A paper that went round; each of the accounts has its line all the same."""
    await door.publish(an_invoice_of(1))
    async with door.database.transaction() as transaction:
        await transaction.connection.execute(
            "WITH made AS (INSERT INTO account (account_id, email, verified_at, created_at)"
            " SELECT gen_random_uuid(), n || '@exemple.test', now(), now()"
            " FROM generate_series(1, 25) AS n RETURNING account_id)"
            " INSERT INTO link (link_id, account_id, payer_id, authority, payer_words, evidence,"
            " invoice_id, number, since) SELECT gen_random_uuid(), account_id, payer_id, authority,"
            " payer_words, 'agent', invoice_id, number, now() FROM made, invoice"
        )

    await attach(door, EMAIL, 1)

    assert len(await told_others(door)) == OTHERS_WRITTEN_TO == 20
    assert await door.count("account_event WHERE kind = 'link-shared'") == 25
