"""Every page of the portal: who opens it, and where it is in the demo's town."""

import msgspec

from demo.biller import Biller
from demo.configuration import CITIZEN
from demo.town import Town
from tests.broker.observing import query


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A page: its path, with `{…}` for what the town tells."""

    name: str
    path: str
    who: str = "nobody"
    status: int = 200


PLACES = (
    Place(name="home", path="/"),
    Place(name="login", path="/connexion"),
    Place(name="opening", path="/compte/creer"),
    Place(name="accessibility", path="/accessibilite"),
    Place(name="legal", path="/mentions-legales"),
    Place(name="privacy", path="/donnees-personnelles"),
    Place(name="unknown", path="/nulle-part", status=404),
    Place(name="paper", path="/q/{token}"),
    Place(name="paper-part", path="/q/{token}/payer"),
    Place(name="agents-login", path="/regie/connexion"),
    Place(name="list", path="/factures", who="citizen"),
    Place(name="list-paid", path="/factures?etat=payees", who="citizen"),
    Place(name="invoice", path="/factures/{invoice}", who="citizen"),
    Place(name="selection", path="/payer/selection?invoice_id={invoice}", who="citizen"),
    Place(name="account", path="/compte", who="citizen"),
)


async def addresses(town: Town, biller: Biller) -> dict[str, str]:
    """Return the full address of each place, by name."""
    [row] = await query(
        town,
        "gateway",
        "SELECT invoice_id::text AS invoice FROM invoice"
        " WHERE payer_email = $1 AND regie = 'CANTINE' ORDER BY number LIMIT 1",
        CITIZEN,
    )
    state = await biller.wait_published(row["invoice"])
    known = {"invoice": row["invoice"], "token": state["public_url"].rpartition("/")[2]}
    return {place.name: town.url("portal") + place.path.format(**known) for place in PLACES}
