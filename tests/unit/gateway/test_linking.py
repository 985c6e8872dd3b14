"""Whose invoices an account shows: one proof of a payer brings all of theirs, and no other's."""

from datetime import timedelta

import pytest

from gateway.ports.links import payer_id_of
from shared.clock import FixedClock
from shared.events import InvoicePublished
from tests.unit.gateway.door import EMAIL, NOW, Door
from tests.unit.gateway.payers import an_invoice_of, id_of, seen_by, token_of

pytestmark = pytest.mark.enable_socket

OTHER_EMAIL = "sacha@exemple.test"


async def attach(door: Door, position: int) -> None:
    page = await door.submit(f"/q/{token_of(position)}/rattacher")
    assert (page.status, page.location) == (303, f"/factures/{id_of(position)}")


def revocation(invoice: InvoicePublished) -> str:
    return f"/compte/payeurs/{payer_id_of(invoice)}/retirer"


async def test_one_paper_brings_all_invoices_of_its_payer_past_and_next(door: Door) -> None:
    """C2: who holds one paper of a payer sees them all, also what is published later."""
    account_id = await door.log_in(verified=False)
    await door.publish(an_invoice_of(1), an_invoice_of(2))

    await attach(door, 2)
    await door.publish(an_invoice_of(3))

    assert await seen_by(door, account_id) == ["2026-0001", "2026-0002", "2026-0003"]


async def test_the_paper_page_says_what_adding_it_does(door: Door) -> None:
    """Nobody is linked to more than they were told."""
    await door.log_in(verified=False)
    await door.publish(an_invoice_of(1))

    page = await door.get(f"/q/{token_of(1)}")

    assert "les autres factures du même redevable, passées et à venir" in page.text


@pytest.mark.parametrize(
    "other",
    [
        an_invoice_of(2, authority="val-de-brume"),
        an_invoice_of(2, reference="FAM-0043"),
        an_invoice_of(2, name="Jean Dupont"),
    ],
    ids=["another town", "another reference", "another person of that reference"],
)
async def test_a_link_shows_no_other_payers_invoice(door: Door, other: InvoicePublished) -> None:
    """C2: payers are of one town; two billers of a town may give one reference to two people."""
    account_id = await door.log_in(verified=False)
    await door.publish(an_invoice_of(1), other)

    await attach(door, 1)

    assert await seen_by(door, account_id) == ["2026-0001"]
    assert (await door.get(f"/factures/{id_of(2)}")).status == 404
    assert (await door.get(f"/factures/{id_of(2)}/facture.pdf")).status == 404


async def test_a_reference_that_was_made_up_shows_the_one_invoice(door: Door) -> None:
    """A father and a son of one name at one address get the same: the link is to the paper."""
    account_id = await door.log_in(verified=False)
    made_up = "PES-0123456789abcdef"
    await door.publish(an_invoice_of(1, reference=made_up), an_invoice_of(2, reference=made_up))

    await attach(door, 1)

    assert await seen_by(door, account_id) == ["2026-0001"]


async def test_two_people_may_be_linked_to_one_payer(door: Door) -> None:
    """C6: separated parents who both got the paper; each ends their own link alone."""
    invoice = an_invoice_of(1)
    await door.publish(invoice)
    first = await door.log_in(verified=False)
    await attach(door, 1)
    door.forget_cookies()
    second = await door.log_in(email=OTHER_EMAIL, verified=False)
    await attach(door, 1)

    await door.submit(revocation(invoice))

    assert await seen_by(door, first) == ["2026-0001"]
    assert await seen_by(door, second) == []


async def test_adding_a_paper_twice_leaves_one_link(door: Door) -> None:
    """Two clicks, or two papers of one payer."""
    await door.log_in(verified=False)
    await door.publish(an_invoice_of(1), an_invoice_of(2))

    for position in (1, 1, 2):
        await attach(door, position)

    assert await door.count("link") == 1


async def test_each_payer_stands_with_its_evidence_in_plain_french(door: Door) -> None:
    """C5: how and when, for each way."""
    await door.log_in()
    await door.publish(an_invoice_of(1), an_invoice_of(2, reference="EAU-7", email=EMAIL))
    await attach(door, 1)

    page = await door.get("/compte/payeurs")

    assert (
        "Ajouté le 24 novembre 2026 à 14 h 05 grâce au code imprimé sur la facture n° 2026-0001."
    ) in page.text
    assert (
        "Depuis le 24 novembre 2026 à 14 h 05, parce que la collectivité envoie ces factures à"
        " votre adresse électronique vérifiée."
    ) in page.text


async def test_a_link_that_is_revoked_shows_nothing_more(door: Door, clock: FixedClock) -> None:
    """Asked first, then at once; what was is told, and the security log knows."""
    invoice = an_invoice_of(1)
    account_id = await door.log_in(verified=False)
    await door.publish(invoice)
    await attach(door, 1)
    clock.advance(timedelta(minutes=2))
    asked = await door.get(revocation(invoice))

    done = await door.send(asked, revocation(invoice))

    page = await door.get("/compte/payeurs")
    assert (done.status, done.location) == (303, "/compte/payeurs?fait=retire")
    assert await seen_by(door, account_id) == []
    assert "Retiré le 24 novembre 2026 à 14 h 07." in page.text
    assert "Redevable retiré" in (await door.get("/compte/activite")).text


async def test_a_payer_of_the_proved_address_is_refused_for_good(door: Door) -> None:
    """Invoices to come do not bring it back; a paper that its owner adds does."""
    invoice = an_invoice_of(1, email=EMAIL)
    account_id = await door.log_in()
    await door.publish(invoice)
    assert await seen_by(door, account_id) == ["2026-0001"]

    await door.submit(revocation(invoice))
    await door.publish(an_invoice_of(2, email=EMAIL))
    after_refusal = await seen_by(door, account_id)
    await attach(door, 2)

    assert after_refusal == []
    assert await seen_by(door, account_id) == ["2026-0001", "2026-0002"]


async def test_invoices_of_an_address_leave_with_its_proof(door: Door) -> None:
    """Another address, or one that is not proved any more, ends it at once."""
    account_id = await door.log_in()
    await door.publish(an_invoice_of(1, email=EMAIL))
    seen = [await seen_by(door, account_id)]

    for change in ("verified_at = NULL", f"verified_at = now(), email = '{OTHER_EMAIL}'"):
        async with door.database.transaction() as transaction:
            await transaction.connection.execute(f"UPDATE account SET {change}")
        seen.append(await seen_by(door, account_id))

    assert seen == [["2026-0001"], [], []]


async def test_nobody_ends_a_strangers_link(door: Door) -> None:
    """ASVS 8.2.2: by its id, or by anything; nothing changes, nothing is told."""
    invoice = an_invoice_of(1)
    await door.publish(invoice)
    owner = await door.log_in(verified=False)
    await attach(door, 1)
    door.forget_cookies()
    await door.log_in(email=OTHER_EMAIL, verified=False)

    for path in (revocation(invoice), "/compte/payeurs/none/retirer"):
        assert (await door.get(path)).status == 404
        assert (await door.submit(path)).status == 404

    assert await seen_by(door, owner) == ["2026-0001"]
    assert await door.count("refusal") == 0


@pytest.mark.parametrize("action", ["retirer", "confirmer", "ecarter"])
async def test_a_form_from_elsewhere_changes_no_link(door: Door, action: str) -> None:
    """ASVS 3.5.1."""
    invoice = an_invoice_of(1)
    account_id = await door.log_in(verified=False)
    await door.publish(invoice)
    await attach(door, 1)

    page = await door.post(f"/compte/payeurs/{payer_id_of(invoice)}/{action}", {"montant": "41,50"})

    assert page.status == 403
    assert await seen_by(door, account_id) == ["2026-0001"]


async def test_an_address_that_is_proved_is_told_of_a_new_link(door: Door) -> None:
    """ASVS 6.3.7: a letter, once; who has no proved address reads it in the activity."""
    await door.publish(an_invoice_of(1))
    await door.log_in()

    await attach(door, 1)
    await attach(door, 1)

    async with door.database.reading() as connection:
        letters = await connection.fetch("SELECT value FROM outbox WHERE type = 'letter.due.v1'")
    assert len([row for row in letters if b'"link-added"' in row["value"]]) == 1
    assert "Redevable ajouté" in (await door.get("/compte/activite")).text


async def test_a_withdrawn_link_can_be_made_anew(door: Door) -> None:
    """With the paper in hand again; the ended one stays in the history."""
    invoice = an_invoice_of(1)
    account_id = await door.log_in(verified=False)
    await door.publish(invoice)
    await attach(door, 1)
    await door.submit(revocation(invoice))

    await attach(door, 1)

    assert await seen_by(door, account_id) == ["2026-0001"]
    assert await door.count("link") == 2
    assert await door.count("refusal") == 0


async def test_what_was_added_before_links_were_is_still_shown(door: Door) -> None:
    """A link of which only the invoice is known, as the migration makes of an attachment."""
    invoice = an_invoice_of(1)
    account_id = await door.log_in(verified=False)
    await door.publish(invoice, an_invoice_of(2))
    async with door.database.transaction() as transaction:
        await transaction.connection.execute(
            "INSERT INTO link (link_id, account_id, payer_id, authority, payer_words, evidence,"
            " invoice_id, number, since) VALUES (gen_random_uuid(), $1, $2, 'saint-aubin', '{}',"
            " 'paper_code', $2, '2026-0001', $3)",
            account_id,
            invoice.invoice_id,
            NOW,
        )

    assert await seen_by(door, account_id) == ["2026-0001"]
