"""What happened to an account, in words, for its owner to recognise or not."""

from collections.abc import Callable

from aiohttp import web

from gateway.api.language import say
from gateway.api.site import require_citizen, site_of
from gateway.api.web import page, render
from shared.http import Operation

Say = Callable[[web.Request], str]

SENTENCES: dict[str, Say] = {
    "account-opened": lambda request: say(request, "Compte créé"),
    "address-confirmed": lambda request: say(request, "Adresse électronique confirmée"),
    "address-asked": lambda request: say(request, "Changement d’adresse électronique demandé"),
    "address-restored": lambda request: say(request, "Ancienne adresse électronique rétablie"),
    "password-changed": lambda request: say(request, "Mot de passe changé"),
    "password-reset": lambda request: say(request, "Mot de passe oublié, puis remplacé"),
    "data-exported": lambda request: say(request, "Copie des données téléchargée"),
    "signed-in": lambda request: say(request, "Connexion"),
    "new-device": lambda request: say(request, "Connexion depuis un nouvel appareil"),
    "factor-changed": lambda request: say(request, "Vérification en deux étapes modifiée"),
    "identity-linked": lambda request: say(request, "Identité FranceConnect liée"),
    "identity-unlinked": lambda request: say(request, "Identité FranceConnect déliée"),
    "link-added": lambda request: say(request, "Redevable ajouté"),
    "link-shared": lambda request: say(
        request, "Redevable que vous voyez, ajouté aussi à un autre compte"
    ),
    "link-revoked": lambda request: say(request, "Redevable retiré"),
    "link-refused": lambda request: say(request, "Redevable proposé, et refusé"),
    "paper-stopped": lambda request: say(request, "Fin du papier demandée"),
    "paper-resumed": lambda request: say(request, "Retour du papier demandé"),
    "delegate-invited": lambda request: say(request, "Délégation proposée"),
    "delegate-accepted": lambda request: say(request, "Délégation acceptée par l’autre personne"),
    "delegation-accepted": lambda request: say(request, "Délégation reçue et acceptée"),
    "delegation-ended": lambda request: say(request, "Délégation terminée"),
}
"""What each kind that the rooms of the portal note is called."""


class Activity:
    """The page of what happened."""

    async def get_activity(self, request: web.Request) -> web.Response:
        """Show what happened to the account that is logged in, newest first."""
        citizen = require_citizen(request)
        async with site_of(request).open_portal() as portal:
            events = await portal.account_events(citizen.account_id)
        lines = [(sentence(request, event.kind), event) for event in events]
        return render(request, "activity.html", lines=lines)

    def operations(self) -> list[Operation]:
        """Return what is served."""
        return [page("GET", "/compte/activite", self.get_activity, "What happened.")]


def sentence(request: web.Request, kind: str) -> str:
    """Return what happened, in words; a kind that is not known here is still told."""
    found = SENTENCES.get(kind)
    return found(request) if found else say(request, "Autre changement")
