"""Every page of the portal: who opens it, and where it is in the demo's town."""

import msgspec

from demo.biller import Biller
from demo.configuration import CITIZEN
from demo.town import Town
from tests.broker.observing import query


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A page: its path, with `{…}` for what the town tells, and who opens it."""

    name: str
    path: str
    who: str = "nobody"
    status: int = 200


def _places(who: str, status: int = 200, **paths: str) -> tuple[Place, ...]:
    return tuple(
        Place(name=name.replace("_", "-"), path=path, who=who, status=status)
        for name, path in paths.items()
    )


PLACES = (
    *_places(
        "nobody",
        home="/",
        login="/connexion",
        login_by_key="/connexion/cle",
        forgotten="/connexion/oubli",
        forgotten_sent="/connexion/oubli/envoye",
        reset="/connexion/oubli/{reset}",
        opening="/compte/creer",
        confirmation="/compte/confirmer/{confirmation}",
        undone="/compte/adresse/retablir/{undo}",
        deleted="/compte/supprime",
        found_by_sum="/retrouver",
        scanner="/scanner",
        offline="/hors-connexion",
        accessibility="/accessibilite",
        legal="/mentions-legales",
        privacy="/donnees-personnelles",
        payer_invited="/compte/invitation-redevable/{payer_invitation}",
        paper="/q/{token}",
        paper_part="/q/{token}/payer",
        paper_proof="/q/{token}/preuve",
        paper_receipt="/q/{paid_token}/recus/{payment}",
        agents_login="/regie/connexion",
    ),
    *_places("nobody", 404, unknown="/nulle-part"),
    *_places(
        "nobody",
        400,
        astray_at_login="/connexion/franceconnect/retour",
        astray_at_logout="/deconnexion/retour",
    ),
    *_places(
        "citizen",
        list="/factures",
        list_paid="/factures?etat=payees",
        invoice="/factures/{invoice}",
        invoice_paid="/factures/{paid}",
        receipt="/factures/{paid}/recus/{payment}",
        selection="/payer/selection?invoice_id={invoice}",
        handover="/payer",
        outcome="/payer/retour",
        account="/compte",
        activity="/compte/activite",
        address="/compte/adresse",
        alerts="/compte/alertes",
        alerts_of="/compte/alertes/collectivites/saint-aubin",
        delegations="/compte/delegations",
        documents="/compte/documents",
        data="/compte/donnees",
        deletion="/compte/supprimer",
        france_connect="/compte/franceconnect",
        password="/compte/mot-de-passe",
        payers="/compte/payeurs",
        payer_revocation="/compte/payeurs/{payer}/retirer",
        security="/compte/securite",
        application="/compte/securite/application",
        passkey="/compte/securite/cle",
        proof="/compte/securite/preuve",
        sessions="/compte/sessions",
    ),
    *_places(
        "newcomer",
        empty_list="/factures",
        invitation="/compte/delegations/invitation/{invitation}",
        payer_invitation="/compte/invitation-redevable/{payer_invitation}",
    ),
    *_places("halfway", verification="/connexion/verification"),
    *_places(
        "agent",
        figures="/regie",
        agents_invitations="/regie/invitations",
        agents_security="/regie/securite",
        agents_application="/regie/securite/application",
        agents_passkey="/regie/securite/cle",
        agents_proof="/regie/securite/preuve",
        agents_sessions="/regie/sessions",
    ),
    *_places(
        "recruit",
        activation="/regie/activation",
        activation_application="/regie/activation/application",
        activation_passkey="/regie/activation/cle",
    ),
)


async def an_invoice_to_pay(town: Town, biller: Biller) -> dict[str, str]:
    """Return the id and the token of an invoice that the demo's citizen owes."""
    [row] = await query(
        town,
        "gateway",
        "SELECT invoice_id::text AS invoice FROM invoice"
        " WHERE payer_email = $1 AND regie = 'CANTINE' ORDER BY number LIMIT 1",
        CITIZEN,
    )
    state = await biller.wait_published(row["invoice"])
    return {"invoice": row["invoice"], "token": state["public_url"].rpartition("/")[2]}


async def addresses(town: Town, biller: Biller) -> dict[str, str]:
    """Return where an invoice that the demo's citizen owes is: in the account, and on paper."""
    known = await an_invoice_to_pay(town, biller)
    portal = town.url("portal")
    return {
        "invoice": f"{portal}/factures/{known['invoice']}",
        "list": f"{portal}/factures",
        "paper": f"{portal}/q/{known['token']}",
    }
