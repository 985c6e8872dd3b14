"""FranceConnect's pages: there and back to log in, to link, to confirm; what it told; unlinking."""

import re
from datetime import date
from uuid import uuid4

import structlog
from aiohttp import web
from babel.dates import format_date

from gateway.api.entry import tell
from gateway.api.facts import facts_of
from gateway.api.forgery import nonce_of, read_form
from gateway.api.holders import CITIZENS, ask_again, is_fresh
from gateway.api.language import LOCALES, language_of, say
from gateway.api.leaving import by_france_connect, new_secret
from gateway.api.site import citizen_of, require_citizen, safe_path, see_other, site_of
from gateway.api.throttling import by_address, knock
from gateway.api.web import log_in, page, render
from gateway.ports import Owner
from gateway.ports.identity import (
    IdentityProvider,
    IdentityRefusedError,
    IdentityUnavailableError,
    Journey,
    Purpose,
    Told,
)
from shared.http import Operation

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

PATH = "/connexion/franceconnect"
RETURN_PATH = "/connexion/franceconnect/retour"
LOGOUT_RETURN_PATH = "/deconnexion/retour"
OWN_PATH = "/compte/franceconnect"
METHOD = "franceconnect"
FREE_JOURNEYS = 60
"""A telephone company shares one address among many, and nothing is guessed here."""
SECRET_LENGTH = 43
LONGEST_CODE = 2048
BIRTHDATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
PURPOSES = {"lier": Purpose.LINK, "confirmer": Purpose.CONFIRM}
AFTERWARDS = {Purpose.LOGIN: "/factures", Purpose.LINK: OWN_PATH, Purpose.CONFIRM: "/compte"}
DOWN = ("server_error", "temporarily_unavailable")


class FranceConnectPages:
    """Pages that are there only where the settings name a FranceConnect."""

    async def post_departure(self, request: web.Request) -> web.StreamResponse:
        """Send the browser to FranceConnect, and remember why it left."""
        provider = _provider(request)
        fields = await read_form(request)
        purpose = PURPOSES.get(fields.get("motif"), Purpose.LOGIN)
        following = safe_path(fields.get("suite"), AFTERWARDS[purpose])
        account_id = None
        if purpose is not Purpose.LOGIN:
            account_id = require_citizen(request).account_id
        elif citizen_of(request) is not None:
            return see_other(following)
        if purpose is Purpose.LINK and not is_fresh(request):
            return ask_again(CITIZENS, OWN_PATH)
        await knock(request, by_address(request, METHOD, FREE_JOURNEYS))
        state, nonce, verifier = new_secret(), new_secret(), provider.new_verifier()
        try:
            location = await provider.authorize_url(state, nonce, verifier)
        except IdentityUnavailableError:
            return _unavailable(request)
        journey = Journey(
            purpose=purpose,
            following=following,
            nonce=nonce,
            verifier=verifier,
            account_id=account_id,
        )
        site = site_of(request)
        async with site.open_portal() as portal:
            # No form is taken without this cookie, so the browser holds it.
            await portal.depart(state, nonce_of(request), journey, site.clock.now())
        return see_other(location)

    async def get_return(self, request: web.Request) -> web.StreamResponse:
        """Take a browser back from FranceConnect; its state serves once (S11, ASVS 10.1.2)."""
        provider = _provider(request)
        journey = await _arrive(request)
        if journey is None or journey.purpose is Purpose.LOGOUT:
            return _stopped(
                request,
                400,
                say(
                    request,
                    "Cette demande n’est plus valable : elle a déjà servi, date de plus de dix"
                    " minutes, ou a commencé dans un autre navigateur.",
                ),
            )
        error, code = _only(request, "error"), _only(request, "code")
        if error or not 0 < len(code) <= LONGEST_CODE:
            return _refused_there(request, error)
        try:
            told = await provider.identify(
                code, journey.nonce, journey.verifier, request.query.get("iss")
            )
        except IdentityUnavailableError:
            return _unavailable(request)
        except IdentityRefusedError as refusal:
            logger.warning("identity refused", reason=refusal.reason, error=str(refusal))
            return _refused_here(request, refusal.reason)
        if journey.purpose is Purpose.LOGIN:
            return await _log_in(request, provider, journey, told)
        return await _for_who_is_logged_in(request, provider, journey, told)

    async def get_identity(self, request: web.Request) -> web.StreamResponse:
        """Show who FranceConnect says that the account's owner is, and since when."""
        _provider(request)
        citizen = require_citizen(request)
        async with site_of(request).open_portal() as portal:
            identity = await portal.identity_of(citizen.account_id)
            has_other_way_in = await portal.has_other_way_in(citizen.account_id)
        return render(
            request,
            "france_connect.html",
            identity=identity,
            birthdate=written_date(request, identity.pivot.birthdate) if identity else "",
            has_other_way_in=has_other_way_in,
        )

    async def post_unlinking(self, request: web.Request) -> web.StreamResponse:
        """Unlink the identity, unless it is the only way in; leave FranceConnect as well."""
        _provider(request)
        citizen = require_citizen(request)
        if not is_fresh(request):
            return ask_again(CITIZENS, OWN_PATH)
        site, owner = site_of(request), Owner(account_id=citizen.account_id)
        secret = request.cookies.get(site.session_cookie, "")
        sealed_token = None
        async with site.open_portal() as portal:
            # So that no other way in is taken away between the question and the deed.
            await portal.lock_owner(owner)
            if await portal.identity_of(citizen.account_id) is None:
                return see_other(OWN_PATH)
            is_dropped = await portal.drop_identity(citizen.account_id)
            if is_dropped:
                sealed_token = await portal.take_sealed_token(secret)
                await portal.end_sessions_by(citizen.account_id, METHOD)
                change = say(request, "identité FranceConnect déliée")
                await tell(request, portal, owner, "factor-changed", change, "identity-unlinked")
        if not is_dropped:
            sentence = say(
                request,
                "FranceConnect est votre seule façon d’ouvrir ce compte. Confirmez d’abord une"
                " adresse électronique et choisissez un mot de passe.",
            )
            return _stopped(request, 409, sentence)
        return see_other(await by_france_connect(request, sealed_token, OWN_PATH))

    async def get_logged_out(self, request: web.Request) -> web.StreamResponse:
        """Take a browser back from FranceConnect's logout; nobody else's state leads anywhere."""
        _provider(request)
        journey = await _arrive(request)
        if journey is None or journey.purpose is not Purpose.LOGOUT:
            sentence = say(request, "Aucune déconnexion n’est en cours dans ce navigateur.")
            return _stopped(request, 400, sentence)
        return see_other(journey.following)

    def operations(self) -> list[Operation]:
        """Return what is served."""
        return [
            page("POST", PATH, self.post_departure, "Leave for FranceConnect."),
            page("GET", RETURN_PATH, self.get_return, "Come back from FranceConnect."),
            page("GET", OWN_PATH, self.get_identity, "The identity that FranceConnect told."),
            page("POST", f"{OWN_PATH}/delier", self.post_unlinking, "Unlink that identity."),
            page("GET", LOGOUT_RETURN_PATH, self.get_logged_out, "Come back from logging out."),
        ]


def written_date(request: web.Request, birthdate: str) -> str:
    """Return a date of birth as people write it, with as much of it as is known."""
    match = BIRTHDATE.fullmatch(birthdate)
    if match is None:
        return birthdate
    year, month, day = (int(part) for part in match.groups())
    locale = LOCALES[language_of(request)]
    try:
        known = date(year, month or 1, day or 1)
    except ValueError:
        return birthdate
    form = "y" if not month else "MMMM y" if not day else "d MMMM y"
    return format_date(known, form, locale=locale)


def _provider(request: web.Request) -> IdentityProvider:
    provider = site_of(request).france_connect
    if provider is None:
        raise web.HTTPNotFound
    return provider


def _only(request: web.Request, name: str) -> str:
    """Return a parameter that comes once; one that comes twice is nobody's honest answer."""
    given = request.query.getall(name, [])
    return given[0] if len(given) == 1 else ""


async def _arrive(request: web.Request) -> Journey | None:
    state, browser = _only(request, "state"), nonce_of(request)
    if len(state) != SECRET_LENGTH or not browser:
        return None
    site = site_of(request)
    async with site.open_portal() as portal:
        return await portal.arrive(state, browser, site.clock.now())


async def _log_in(
    request: web.Request, provider: IdentityProvider, journey: Journey, told: Told
) -> web.StreamResponse:
    """Open the account of who came back, or a new one at the first time.

    The key is the issuer and its subject alone. The address that FranceConnect tells is no proof,
    and never leads to an account that has it (features C8).
    """
    site = site_of(request)
    now = site.clock.now()
    async with site.open_portal() as portal:
        known = await portal.find_identity(provider.issuer, told.subject)
        account_id = known.account_id if known else uuid4()
        if known is None:
            await portal.open_account_of_identity(account_id, now)
            await portal.note(account_id, "account-opened", facts_of(request), now)
        await portal.keep_identity(provider.issuer, told, account_id, now)
        await portal.match_identity(account_id, now)
    response = see_other(journey.following)
    await log_in(request, response, account_id=account_id, method=METHOD)
    await _keep_token(request, response.cookies[site.session_cookie].value, told)
    return response


async def _for_who_is_logged_in(
    request: web.Request, provider: IdentityProvider, journey: Journey, told: Told
) -> web.StreamResponse:
    """Link the identity to the account that left, or confirm that it is its owner."""
    site, citizen = site_of(request), citizen_of(request)
    if citizen is None or citizen.account_id != journey.account_id:
        sentence = say(
            request, "Vous n’êtes plus connecté au compte d’où vous étiez parti. Rien n’a changé."
        )
        return _stopped(request, 403, sentence)
    # Whatever follows, FranceConnect has a session now, which is to end with this one.
    await _keep_token(request, request.cookies[site.session_cookie], told)
    now = site.clock.now()
    async with site.open_portal() as portal:
        known = await portal.find_identity(provider.issuer, told.subject)
        is_theirs = known is not None and known.account_id == citizen.account_id
        if is_theirs or (known is None and journey.purpose is Purpose.LINK):
            is_theirs = await portal.keep_identity(provider.issuer, told, citizen.account_id, now)
        if is_theirs:
            await portal.match_identity(citizen.account_id, now)
        if is_theirs and known is None:
            change = say(request, "identité FranceConnect liée")
            owner = Owner(account_id=citizen.account_id)
            await tell(request, portal, owner, "factor-changed", change, "identity-linked")
    if not is_theirs:
        return _stopped(request, 409, _whose(request, journey.purpose, is_known=known is not None))
    response = see_other(journey.following)
    if journey.purpose is Purpose.CONFIRM:
        await log_in(request, response, account_id=citizen.account_id, method=METHOD)
        await _keep_token(request, response.cookies[site.session_cookie].value, told)
    return response


async def _keep_token(request: web.Request, secret: str, told: Told) -> None:
    async with site_of(request).open_portal() as portal:
        await portal.seal_session(secret, told.sealed_token)


def _whose(request: web.Request, purpose: Purpose, *, is_known: bool) -> str:
    if purpose is Purpose.CONFIRM:
        return say(
            request,
            "L’identité que FranceConnect vient de donner n’est pas celle de ce compte. Rien n’a"
            " changé.",
        )
    if is_known:
        return say(
            request,
            "Cette identité FranceConnect est déjà liée à un autre compte. Rien n’a changé :"
            " connectez-vous avec FranceConnect pour ouvrir ce compte-là.",
        )
    return say(
        request,
        "Votre compte est déjà lié à une autre identité FranceConnect. Rien n’a changé : déliez-la"
        " d’abord.",
    )


def _unavailable(request: web.Request) -> web.Response:
    sentence = say(
        request,
        "FranceConnect ne répond pas pour le moment. Réessayez dans quelques minutes, ou ouvrez vos"
        " factures avec le code imprimé sur chacune.",
    )
    return _stopped(request, 503, sentence)


def _refused_there(request: web.Request, error: str) -> web.Response:
    """Answer to an error that FranceConnect sent the browser back with (RFC 6749, 4.1.2.1)."""
    if error in DOWN:
        return _unavailable(request)
    if error == "access_denied":
        sentence = say(
            request, "Vous avez renoncé à vous identifier, ou FranceConnect n’a pas pu le faire."
        )
        return _stopped(request, 403, sentence)
    # Only the operator can mend a request of ours that it does not take.
    logger.error("FranceConnect sent back an error", error=error[:80])
    return _stopped(request, 502, say(request, "FranceConnect n’a pas accepté notre demande."))


def _refused_here(request: web.Request, reason: str) -> web.Response:
    if reason == "code":
        sentence = say(
            request, "L’identification a pris trop de temps, ou a déjà servi. Recommencez."
        )
        return _stopped(request, 400, sentence)
    sentence = say(
        request,
        "La réponse de FranceConnect n’a pas pu être vérifiée. Par sécurité, elle n’a servi à"
        " rien.",
    )
    return _stopped(request, 502, sentence)


def _stopped(request: web.Request, status: int, sentence: str) -> web.Response:
    response = render(request, "france_connect_stopped.html", status=status, sentence=sentence)
    if status == 503:
        response.headers["Retry-After"] = "60"
    return response
