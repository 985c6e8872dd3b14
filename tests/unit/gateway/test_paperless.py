"""Paper or none: who may choose, what the biller reads, and when it ends by itself (E5)."""

import base64
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from gateway.ports.links import payer_id_of
from shared.auth import Principal
from shared.clock import FixedClock
from shared.events import InvoicePublished
from tests.unit.gateway.door import EMAIL, ISSUER, PASSWORD, SIGNER, Door, Page, a_signing_key
from tests.unit.gateway.payers import an_invoice_of, token_of
from tests.unit.gateway.test_alerts import save
from tests.unit.gateway.test_delegates import delegate

pytestmark = pytest.mark.enable_socket

OTHER_EMAIL = "sacha@exemple.test"
SINCE = "2026-11-24T13:05:00Z"
BILLER = Principal(
    subject="facturation",
    authority="saint-aubin",
    regies=("CANTINE",),
    scopes=frozenset({"collections:read"}),
)


def form_of(invoice: InvoicePublished) -> str:
    return f"/compte/payeurs/{payer_id_of(invoice)}/papier"


async def ask(door: Door, path: str = "/v1/paperless", caller: Principal = BILLER) -> Page:
    return await door.get(path, Authorization=f"Bearer {SIGNER.sign(caller, 60)}")


def content(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(page.content)
    return found


async def told(door: Door, caller: Principal = BILLER) -> list[str]:
    """Return the references that a biller reads."""
    page = await ask(door, caller=caller)
    assert page.status == 200
    return [payer["reference"] for payer in content(page)["payers"]]


async def stop(door: Door, invoice: InvoicePublished) -> None:
    page = await door.submit(form_of(invoice), {"papier": "non"})
    assert (page.status, page.location) == (303, "/compte/payeurs?fait=sans-papier")


async def attach(door: Door, position: int) -> None:
    assert (await door.submit(f"/q/{token_of(position)}/rattacher")).status == 303


async def linked(door: Door) -> InvoicePublished:
    """Publish an invoice whose payer somebody adds to their account, and stays logged in."""
    invoice = an_invoice_of(1)
    await door.publish(invoice)
    await door.log_in()
    await attach(door, 1)
    return invoice


async def test_who_stops_paper_is_told_to_the_biller(door: Door) -> None:
    """The reference and since when; no name, no address."""
    invoice = await linked(door)
    page = await door.get("/compte/payeurs")

    done = await door.send(page, form_of(invoice), papier="non")

    page = await ask(door)
    assert (done.status, done.location) == (303, "/compte/payeurs?fait=sans-papier")
    assert page.headers["Content-Type"] == "application/json"
    assert page.headers["Cache-Control"] == "no-store"
    assert content(page) == {"payers": [{"reference": "FAM-0042", "since": SINCE}], "next": None}
    shown = await door.get(done.location)
    assert "la collectivité apprend que vous ne voulez plus de papier" in shown.text
    assert "Vous ne recevez plus de papier depuis le 24 novembre 2026 à 14 h 05" in shown.text
    assert "Fin du papier demandée" in (await door.get("/compte/activite")).text


async def test_paper_can_be_asked_for_again(door: Door) -> None:
    """The biller reads of it no more; what happened can be read."""
    invoice = await linked(door)
    await stop(door, invoice)
    page = await door.get("/compte/payeurs")

    done = await door.send(page, form_of(invoice), papier="oui")

    assert (done.status, done.location) == (303, "/compte/payeurs?fait=papier")
    assert await told(door) == []
    assert await door.count("paperless") == 0
    assert "Ne plus recevoir de papier" in (await door.get("/compte/payeurs")).text
    assert "Retour du papier demandé" in (await door.get("/compte/activite")).text


async def test_the_form_says_what_it_means(door: Door) -> None:
    """Nobody believes that a debt is gone with its paper."""
    await linked(door)

    page = await door.get("/compte/payeurs")

    assert "la collectivité l’apprend et cesse d’envoyer ces factures sur papier" in page.text
    assert "Ce qui est dû et les dates limites ne changent pas." in page.text


async def test_choosing_twice_is_the_same_as_once(door: Door, clock: FixedClock) -> None:
    """Both ways: the first moment stays, and one line is noted for each change."""
    invoice = await linked(door)

    await stop(door, invoice)
    clock.advance(timedelta(minutes=2))
    await stop(door, invoice)
    since = content(await ask(door))["payers"][0]["since"]
    statuses = [(await door.submit(form_of(invoice), {"papier": "oui"})).status for _ in range(2)]

    activity = (await door.get("/compte/activite")).text
    assert since == SINCE
    assert statuses == [303, 303]
    assert activity.count("Fin du papier demandée") == 1
    assert activity.count("Retour du papier demandé") == 1


async def test_a_payer_of_the_proved_address_may_choose_too(door: Door) -> None:
    """There is no link to look for."""
    invoice = an_invoice_of(1, email=EMAIL)
    await door.publish(invoice)
    await door.log_in()

    await stop(door, invoice)

    assert await told(door) == ["FAM-0042"]


async def test_who_is_not_numbered_by_the_biller_is_not_asked(door: Door) -> None:
    """A reference that was made up here says nothing to the biller."""
    invoice = an_invoice_of(1, reference="PES-0123456789abcdef")
    await door.publish(invoice)
    await door.log_in()
    await attach(door, 1)

    page = await door.get("/compte/payeurs")
    answer = await door.submit(form_of(invoice), {"papier": "non"})

    assert "papier" not in page.text.lower().replace("facture papier", "")
    assert answer.status == 404
    assert await door.count("paperless") == 0


async def test_the_choice_is_the_payers_whoever_made_it(door: Door) -> None:
    """C6: of two parents, either may; both see how it stands."""
    invoice = await linked(door)
    await stop(door, invoice)
    door.forget_cookies()
    await door.log_in(email=OTHER_EMAIL)
    await attach(door, 1)

    page = await door.get("/compte/payeurs")
    done = await door.send(page, form_of(invoice), papier="oui")

    assert done.status == 303
    assert await told(door) == []


async def test_two_people_under_one_reference_choose_each_for_themselves(door: Door) -> None:
    """Two billers of a town may number different people alike: the other's paper goes on."""
    other = msgspec.structs.replace(an_invoice_of(2, name="Jean Dupont"), regie="EAU")
    await door.publish(an_invoice_of(1), other)
    await door.log_in()
    await attach(door, 1)
    door.forget_cookies()
    await door.log_in(email=OTHER_EMAIL)
    await attach(door, 2)

    await stop(door, other)

    water = msgspec.structs.replace(BILLER, regies=("EAU",))
    assert await told(door, water) == ["FAM-0042"]
    assert await told(door) == []


@pytest.mark.parametrize("answer", ["non", "oui"])
async def test_nobody_chooses_for_a_stranger(door: Door, answer: str) -> None:
    """ASVS 8.2.2: by an id, or by anything; nothing changes."""
    invoice = await linked(door)
    if answer == "oui":
        await stop(door, invoice)
    before = await told(door)
    door.forget_cookies()
    await door.log_in(email=OTHER_EMAIL)

    for path in (form_of(invoice), "/compte/payeurs/none/papier"):
        assert (await door.submit(path, {"papier": answer})).status == 404

    assert await told(door) == before


async def test_a_delegate_does_not_choose(door: Door) -> None:
    """What was lent is not theirs: neither offered nor taken."""
    await delegate(door)

    page = await door.get("/compte/payeurs")
    answer = await door.submit(form_of(an_invoice_of(1)), {"papier": "non"})

    assert not [action for action in page.actions() if action.endswith("/papier")]
    assert answer.status == 404
    assert await door.count("paperless") == 0


async def test_a_form_from_elsewhere_changes_nothing(door: Door) -> None:
    """ASVS 3.5.1."""
    invoice = await linked(door)

    page = await door.post(form_of(invoice), {"papier": "non"})

    assert page.status == 403
    assert await door.count("paperless") == 0


async def test_without_a_session_one_logs_in_first(door: Door) -> None:
    """Nothing is chosen on the way."""
    page = await door.submit(form_of(an_invoice_of(1)), {"papier": "non"})

    assert (page.status, page.location) == (303, "/connexion")


@pytest.mark.parametrize("value", ["", "peut-être"])
async def test_another_answer_is_none(door: Door, value: str) -> None:
    """Only the two that the form has."""
    invoice = await linked(door)

    page = await door.submit(form_of(invoice), {"papier": value})

    assert page.status == 400
    assert await door.count("paperless") == 0


async def test_an_address_that_is_not_proved_keeps_its_paper(door: Door) -> None:
    """Nothing would announce the invoice: a sentence and a way on instead of the form."""
    invoice = an_invoice_of(1)
    await door.publish(invoice)
    await door.log_in(verified=False)
    await attach(door, 1)

    page = await door.get("/compte/payeurs")
    answer = await door.submit(form_of(invoice), {"papier": "non"})

    assert "confirmez d’abord votre adresse électronique" in page.text
    assert form_of(invoice) not in page.actions()
    assert answer.status == 409
    assert answer.alert.startswith("Le papier continue : rien d’autre ne vous annoncerait")
    assert answer.element("//div[@role='alert']//a").get("href") == "/compte/alertes"
    assert await door.count("paperless") == 0


@pytest.mark.parametrize("path", ["/compte/alertes", "/compte/alertes/collectivites/saint-aubin"])
async def test_without_alerts_paper_is_not_stopped(door: Door, path: str) -> None:
    """Turned off for all, or for that authority; a push alone is no letter."""
    invoice = await linked(door)
    await save(door, path, "invoice.push", "reminder.email")

    page = await door.get("/compte/payeurs")
    answer = await door.submit(form_of(invoice), {"papier": "non"})

    assert "demandez d’abord à être averti par courriel" in page.text
    assert answer.status == 409
    assert await told(door) == []


async def test_alerts_of_the_authority_alone_are_enough(door: Door) -> None:
    """Its own choice goes before the general one, here and at the door."""
    invoice = await linked(door)
    await save(door, "/compte/alertes", "receipt.email")
    await save(door, "/compte/alertes/collectivites/saint-aubin", "invoice.email")

    await stop(door, invoice)

    assert await told(door) == ["FAM-0042"]


async def test_alerts_that_are_turned_off_later_bring_paper_back(door: Door) -> None:
    """An invoice is announced in one way at least; the page says how it stands."""
    invoice = await linked(door)
    await stop(door, invoice)

    await save(door, "/compte/alertes", "invoice.push")

    page = await door.get("/compte/payeurs")
    assert await told(door) == []
    assert "demandez d’abord à être averti par courriel" in page.text
    assert "Vous ne recevez plus de papier" not in page.text


async def test_a_link_that_is_revoked_ends_it(door: Door) -> None:
    """Nobody sees the payer any more: the row is gone, and a new link finds paper."""
    invoice = await linked(door)
    await stop(door, invoice)

    await door.submit(f"/compte/payeurs/{payer_id_of(invoice)}/retirer")

    assert await told(door) == []
    assert await door.count("paperless") == 0
    await attach(door, 1)
    assert "Ne plus recevoir de papier" in (await door.get("/compte/payeurs")).text


async def test_the_last_who_goes_ends_it_whoever_chose(door: Door) -> None:
    """One chose and leaves first, the other leaves later: nothing is left of either."""
    invoice = await linked(door)
    await stop(door, invoice)
    door.forget_cookies()
    await door.log_in(email=OTHER_EMAIL)
    await attach(door, 1)
    async with door.portal() as portal:
        first = await portal.find_account(EMAIL)
        assert first is not None
        await portal.close_account(first.account_id, door.clock.now())
    between = await told(door)

    await door.submit("/compte/supprimer", {"current": PASSWORD, "confirmation": "oui"})

    assert between == ["FAM-0042"]
    assert await door.count("paperless") == 0


async def test_a_changed_address_ends_it_at_once(door: Door, clock: FixedClock) -> None:
    """The invoices were for the address that is given up: nobody sees them by it any more."""
    invoice = an_invoice_of(1, email=EMAIL)
    await door.publish(invoice)
    account_id = await door.log_in()
    await stop(door, invoice)

    async with door.portal() as portal:
        assert await portal.give_address(account_id, OTHER_EMAIL, clock.now())

    assert await door.count("paperless") == 0


async def test_a_payer_of_another_address_has_paper(door: Door, clock: FixedClock) -> None:
    """A new version names it: the door answers by what is true now, a clean-up takes the row."""
    invoice = an_invoice_of(1, email=EMAIL)
    await door.publish(invoice)
    await door.log_in()
    await stop(door, invoice)
    await door.publish(an_invoice_of(1, email=OTHER_EMAIL, version=2))

    at_once = await told(door)
    async with door.portal() as portal:
        swept = await portal.tidy_paper(clock.now())

    assert (at_once, swept) == ([], 1)
    assert await door.count("paperless") == 0


@pytest.mark.parametrize("is_seen", [False, True], ids=["by nobody else", "by another"])
async def test_a_deleted_account_ends_it_unless_somebody_stays(door: Door, is_seen: bool) -> None:
    """RGPD 17: who chose is forgotten in any case."""
    invoice = an_invoice_of(1)
    await door.publish(invoice)
    if is_seen:
        await door.log_in(email=OTHER_EMAIL)
        await attach(door, 1)
        door.forget_cookies()
    await door.log_in()
    await attach(door, 1)
    await stop(door, invoice)

    await door.submit("/compte/supprimer", {"current": PASSWORD, "confirmation": "oui"})

    async with door.database.reading() as connection:
        rows = await connection.fetch("SELECT chosen_by FROM paperless")
    assert await told(door) == (["FAM-0042"] if is_seen else [])
    assert [row["chosen_by"] for row in rows] == ([None] if is_seen else [])


async def paperless(door: Door, *references: str) -> None:
    """Let somebody stop the paper of these payers of one name."""
    invoices = [
        an_invoice_of(position, reference=reference, email=EMAIL)
        for position, reference in enumerate(references, start=1)
    ]
    await door.publish(*invoices)
    await door.log_in()
    for invoice in invoices:
        await stop(door, invoice)


async def test_the_list_is_read_page_by_page(door: Door) -> None:
    """By reference, byte by byte; the last page says that there is no other."""
    await paperless(door, "b-1", "A-2", "a 3/é&")

    pages = []
    following: str | None = ""
    while following is not None:
        page = content(await ask(door, f"/v1/paperless?limit=1&after={quote(following, safe='')}"))
        pages.append([payer["reference"] for payer in page["payers"]])
        following = page["next"]

    assert pages == [["A-2"], ["a 3/é&"], ["b-1"]]
    assert await told(door) == ["A-2", "a 3/é&", "b-1"]


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=1001", "limit=-1", "limit=", "limit=%D9%A1", "limit=0000019", "after=%00"],
)
async def test_a_parameter_that_is_wrong_is_told(door: Door, query: str) -> None:
    """As a problem document, like the feed's."""
    page = await ask(door, f"/v1/paperless?{query}")

    code = "invalid-cursor" if query.startswith("after") else "invalid-limit"
    assert (page.status, content(page)["code"]) == (400, code)
    assert page.headers["Content-Type"].startswith("application/problem+json")


async def test_bytes_that_are_no_text_are_not_a_fault(door: Door) -> None:
    """Whatever stands in the address, the answer is one of ours."""
    page = await ask(door, "/v1/paperless?after=%ff%ed%a0%80")

    assert page.status in (200, 400)


@pytest.mark.parametrize(
    "caller",
    [
        msgspec.structs.replace(BILLER, authority="val-de-brume"),
        msgspec.structs.replace(BILLER, regies=("EAU",)),
        msgspec.structs.replace(BILLER, regies=()),
    ],
    ids=["another town", "another régie", "no régie"],
)
async def test_a_biller_reads_of_its_own_payers_alone(door: Door, caller: Principal) -> None:
    """S1: what the token says bounds it, whatever is asked."""
    await paperless(door, "FAM-0042")

    assert await told(door, caller) == []


@pytest.mark.parametrize(
    ("caller", "code"),
    [
        (
            msgspec.structs.replace(BILLER, scopes=frozenset({"deposits:read"})),
            "insufficient-scope",
        ),
        (msgspec.structs.replace(BILLER, authority=""), "no-authority"),
    ],
)
async def test_a_token_without_the_right_reads_nothing(
    door: Door, caller: Principal, code: str
) -> None:
    """403, as at the feed; not even the gateway's own."""
    await paperless(door, "FAM-0042")

    page = await ask(door, caller=caller)

    assert (page.status, content(page)["code"]) == (403, code)
    assert b"FAM-0042" not in page.content


async def test_a_token_that_proves_nothing_reads_nothing(door: Door) -> None:
    """Expired, of another key or issuer, unsigned, or none; a session is no token either."""
    await paperless(door, "FAM-0042")
    stranger = type(SIGNER)(a_signing_key(), "", ISSUER)
    header = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    tokens = {
        "expired": SIGNER.sign(BILLER, -1),
        "another key": stranger.sign(BILLER, 60),
        "unsigned": f"{header}.e30.",
        "not a token": "abc",
    }

    pages = [await door.get("/v1/paperless", Authorization=f"Bearer {t}") for t in tokens.values()]
    without = await door.get("/v1/paperless")

    assert [(page.status, content(page)["code"]) for page in pages] == [(401, "invalid-token")] * 4
    assert (without.status, content(without)["code"]) == (401, "missing-token")
    assert without.headers["WWW-Authenticate"] == "Bearer"


async def test_the_door_is_documented(door: Door) -> None:
    """OpenAPI names its scope, its parameters and its answer."""
    document = content(await door.get("/openapi.json"))

    operation = document["paths"]["/v1/paperless"]["get"]
    assert [one["name"] for one in operation["parameters"]] == ["after", "limit"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema["$ref"].endswith("PaperlessPage")
