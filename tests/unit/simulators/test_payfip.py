"""A PayFiP payment from the merchant's call to the notice and the detail, over loopback HTTP."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import eopayment
import pytest
import pytest_asyncio
import zeep
from eopayment.payfip_ws import PayFiPError

from simulators.payfip import soap
from tests.unit.simulators.payfip_builders import EMAIL, NUMCLI, Site, running_site

pytestmark = [pytest.mark.asyncio, pytest.mark.enable_socket]


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    """Run the site."""
    async with running_site() as running:
        yield running


async def code_of(site: Site, idop: str) -> str:
    """Return the code of the fault that the web service answers for an idOp."""
    with pytest.raises(PayFiPError) as refusal:
        await site.ask(idop)
    return str(refusal.value.code)


def idop_of(told: Any) -> str:
    """Return the idOp of a notice, which has nothing else."""
    assert set(told) == {"idop"}
    return str(told["idop"])


@pytest.mark.parametrize(
    ("choice", "resultrans", "result", "has_numauto"),
    [
        ("carte", "P", eopayment.PAID, True),
        ("prelevement", "V", eopayment.PAID, True),
        ("refus_carte", "R", eopayment.DENIED, False),
        ("refus_prelevement", "Z", eopayment.DENIED, False),
        ("abandon", "A", eopayment.CANCELLED, False),
    ],
)
async def test_each_choice_of_the_payer_reaches_the_merchant(
    choice: str, resultrans: str, result: int, has_numauto: bool, site: Site
) -> None:
    """Create, pay page, notice with the idOp alone, detail: eopayment reads every result."""
    idop = await site.create()
    page = await site.open_page(idop)

    answer = await site.choose(idop, choice)

    (notice,) = site.merchant.notices
    detail = await site.ask(idop)
    truth = await site.payment(idop)
    assert page.status == 200
    assert answer.status == 303
    assert answer.headers["Location"] == (
        f"https://portail.example/retour?facture=17&idop={idop}#bas"
    )
    assert idop_of(notice) == idop
    expected = {
        "dattrans": "14072025",
        "exer": "20",
        "heurtrans": "2330",
        "idOp": idop,
        "mel": EMAIL,
        "montant": "1234",
        "numcli": NUMCLI,
        "objet": None,
        "refdet": "CANTINE2026",
        "resultrans": resultrans,
        "saisie": "W",
    }
    assert {name: detail[name] for name in expected} == expected
    assert (detail.numauto is not None) is has_numauto
    assert detail.numauto == (truth["numauto"] or None)
    assert (await site.status(idop)).result == result
    assert truth["resultrans"] == resultrans
    assert truth["is_paid"] is has_numauto


async def test_the_result_is_readable_when_the_notice_arrives(site: Site) -> None:
    """A merchant may ask back before it answers the notice."""
    idop = await site.create()
    seen: list[str] = []

    async def ask_back(notice: dict[str, str]) -> None:
        seen.append((await site.ask(notice["idop"])).resultrans)

    site.merchant.on_notice = ask_back

    await site.choose(idop, "carte")

    assert seen == ["P"]


async def test_eopayment_reads_the_browsers_return(site: Site) -> None:
    """The return brings the idOp under the name that eopayment looks for."""
    idop = await site.create()
    answer = await site.choose(idop, "carte")
    query = answer.headers["Location"].partition("?")[2].partition("#")[0]

    response = await asyncio.to_thread(site.backend().response, query)

    assert response.result == eopayment.PAID
    assert response.bank_data["montant"] == "1234"


async def test_zeep_loads_the_description_that_is_served(site: Site) -> None:
    """WSDL and schemas come from the service itself, with its own address in them."""
    wsdl = f"{site.service_url}?wsdl"

    client = await asyncio.to_thread(zeep.Client, wsdl)
    told = await asyncio.to_thread(client.service.recupererDetailClient, {"numCli": NUMCLI})

    port = client.wsdl.services["PaiementSecuriseService"].ports["PaiementSecuriseServicePort"]
    operations = port.binding.all()
    assert sorted(operations) == [
        "creerPaiementSecurise",
        "recupererDetailClient",
        "recupererDetailPaiementSecurise",
    ]
    assert port.binding_options["address"] == site.service_url
    assert (told.libelleN1, told.libelleN2, told.libelleN3, told.numcli) == (
        "Régie des eaux",
        "Ville de Saint-Aubin",
        None,
        NUMCLI,
    )


async def test_the_description_is_that_of_the_real_service(site: Site) -> None:
    """Operations, elements and their order are those of the copy that eopayment ships."""
    shipped = site.backend().payfip.client
    served = await asyncio.to_thread(zeep.Client, f"{site.service_url}?wsdl")

    signatures = [
        {
            name: (operation.input.signature(), operation.output.signature())
            for name, operation in one.wsdl.bindings[
                f"{{{soap.SERVICE}}}PaiementSecuriseServicePortBinding"
            ]
            .all()
            .items()
        }
        for one in (shipped, served)
    ]
    types = [
        sorted(kind.signature(schema=one.wsdl.types) for kind in one.wsdl.types.types)
        for one in (shipped, served)
    ]

    assert signatures[1] == signatures[0]
    assert types[1] == types[0]


async def test_an_unknown_idop_is_p1(site: Site) -> None:
    """Recorded from the real service, as "IdOp incorrect"."""
    assert await code_of(site, "cc0cb210-1cd4-11ea-8cca-0213ad91a103") == "P1"


async def test_the_element_idop_in_small_letters_is_no_idop(site: Site) -> None:
    """The argument is `idOp` with a capital: anything else is not known, so P1."""
    idop = await site.create()
    await site.choose(idop, "carte")
    body = envelope(f"<arg0><idop>{idop}</idop></arg0>", "recupererDetailPaiementSecurise")

    answer = await site.call(body)

    assert answer.status == 500
    assert "<code>P1</code>" in await answer.text()


def envelope(argument: str, operation: str) -> str:
    """Return a SOAP request."""
    return (
        f'<e:Envelope xmlns:e="{soap.ENVELOPE}"><e:Body>'
        f'<s:{operation} xmlns:s="{soap.SERVICE}">{argument}</s:{operation}>'
        "</e:Body></e:Envelope>"
    )


async def test_a_fault_is_written_as_recorded(site: Site) -> None:
    """HTTP 500, `S:Server`, the Java exception's name, and the detail of the description."""
    body = envelope("<arg0><idOp>nothing</idOp></arg0>", "recupererDetailPaiementSecurise")

    answer = await site.call(body)

    assert answer.status == 500
    assert answer.content_type == "text/xml"
    assert await answer.text() == (
        "<?xml version='1.0' encoding='UTF-8'?>\n"
        f'<S:Envelope xmlns:S="{soap.ENVELOPE}"><S:Body><S:Fault>'
        "<faultcode>S:Server</faultcode><faultstring>"
        "fr.gouv.finances.cp.tpa.webservice.exceptions.FonctionnelleErreur</faultstring>"
        f'<detail><ns1:FonctionnelleErreur xmlns:ns1="{soap.SERVICE}">'
        "<code>P1</code><descriptif></descriptif><libelle>IdOp incorrect.</libelle>"
        "<severite>2</severite></ns1:FonctionnelleErreur></detail>"
        "</S:Fault></S:Body></S:Envelope>"
    )


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"mel": None}, "A1"),
        ({"mel": "lea"}, "A2"),
        ({"mel": "a@b.c"}, "A2"),
        ({"mel": "lea", "montant": "9999999999999999999"}, "A2"),
        ({"saisie": "A"}, "S1"),
        ({"numcli": None}, "T1"),
        ({"numcli": "12345"}, "T1"),
        ({"numcli": "999999"}, "T2"),
        ({"numcli": "010101"}, "T4"),
        ({"exer": None}, "E1"),
        ({"exer": "26"}, "E3"),
        ({"refdet": None}, "R1"),
        ({"refdet": "ABCD"}, "R3"),
        ({"refdet": "CANTINE-2026"}, "R3"),
        ({"refdet": "A" * 31}, "R3"),
        ({"objet": "Été"}, "O1"),
        ({"montant": "12,34"}, "M1"),
        ({"montant": "99"}, "M3"),
        ({"montant": "10000001"}, "M5"),
        ({"url_notification": None}, "N1"),
        ({"url_notification": "ftp://x.example/"}, "N1"),
        ({"url_redirect": "x" * 300}, "D1"),
    ],
)
async def test_refuses_a_request_with_the_code_of_its_field(
    changes: dict[str, str | None], code: str, site: Site
) -> None:
    """The e-mail address is looked at first; nothing is created."""
    asked: dict[str, str | None] = {
        "numcli": NUMCLI,
        "saisie": "W",
        "exer": "2026",
        "refdet": "CANTINE2026",
        "montant": "1234",
        "mel": EMAIL,
        "url_notification": site.merchant.url,
        "url_redirect": "https://portail.example/retour",
        "objet": None,
    }

    with pytest.raises(PayFiPError) as refusal:
        await asyncio.to_thread(lambda: site.backend().payfip.get_idop(**(asked | changes)))

    assert refusal.value.code == code
    assert await (await site.http.get("/api/payments")).json() == []


async def test_an_inactive_client_may_test(site: Site) -> None:
    """Before its activation ends a client takes test and activation payments."""
    backend = site.backend(numcli="010101", saisie="X")

    idop, _, _ = await asyncio.to_thread(
        backend.request, Decimal("1.00"), EMAIL, refdet="ACTIVATION1"
    )

    assert (await site.payment(idop))["saisie"] == "X"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("<e:Envelope", "create SOAP message"),
        ("<!DOCTYPE x><x/>", "DOCTYPE is not allowed"),
        ("<x/>", "envelope"),
        (envelope("", "effacerTout"), "dispatch method"),
        (envelope("", "creerPaiementSecurise").replace(soap.SERVICE, "urn:x"), "dispatch"),
    ],
)
async def test_what_is_no_call_is_the_clients_fault(body: str, said: str, site: Site) -> None:
    """A `S:Client` fault without detail, as JAX-WS writes it."""
    answer = await site.call(body)

    text = await answer.text()
    assert answer.status == 500
    assert "<faultcode>S:Client</faultcode>" in text
    assert said in text
    assert "<detail>" not in text


async def test_another_content_type_is_not_read(site: Site) -> None:
    """SOAP 1.1 is text/xml; SOAP 1.2's type is refused."""
    answer = await site.call(envelope("", "creerPaiementSecurise"), "application/soap+xml")

    assert answer.status == 415


async def test_a_comment_does_not_split_a_value(site: Site) -> None:
    """An amount in two pieces is read whole."""
    idop = await site.create()
    await site.choose(idop, "carte")
    split = idop[:8] + "<!-- -->" + idop[8:]

    answer = await site.call(
        envelope(f"<arg0><idOp>{split}</idOp></arg0>", "recupererDetailPaiementSecurise")
    )

    assert answer.status == 200
