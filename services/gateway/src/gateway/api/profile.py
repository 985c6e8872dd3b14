"""What somebody chooses about their own account: name, language, address, password."""

from uuid import UUID

from aiohttp import web

from gateway.api.assets import YEAR_SECONDS
from gateway.api.credentials import (
    email_problem,
    must_prove,
    password_problem,
    proves_again,
    renew_session,
)
from gateway.api.entry import tell
from gateway.api.facts import facts_of
from gateway.api.forgery import read_form
from gateway.api.holders import CITIZENS, ask_again
from gateway.api.language import LANGUAGES, say
from gateway.api.letters import add_link, send_link, tell_account_exists, tell_contact
from gateway.api.proofs import PENDING
from gateway.api.site import require_citizen, see_other, site_of
from gateway.api.throttling import by_address, by_name, knock
from gateway.api.web import page, render
from gateway.ports import Account, Owner, PasswordKeeper, Portal
from shared.http import Operation

LONGEST_DISPLAY_NAME = 80


class Profile:
    """Pages of the account that is logged in; whose it is comes from the session alone."""

    def __init__(self, passwords: PasswordKeeper) -> None:
        """Check passwords with `passwords`."""
        self._passwords = passwords

    async def get_account(self, request: web.Request) -> web.Response:
        """Show the account."""
        account = await own_account(request)
        site = site_of(request)
        async with site.open_portal() as portal:
            pending = await portal.pending_address(account.account_id, site.clock.now())
        return render(
            request,
            "account.html",
            account=account,
            pending=pending,
            done=request.query.get("adresse", "") or request.query.get("profil", ""),
            errors={},
        )

    async def post_profile(self, request: web.Request) -> web.StreamResponse:
        """Keep the name to be greeted by, and the language."""
        fields = await read_form(request)
        account = await own_account(request)
        name = " ".join(fields.get("display_name").split())
        language = fields.get("language")
        if len(name) > LONGEST_DISPLAY_NAME or not name.isprintable():
            error = say(
                request,
                "Le nom compte au plus %(count)d caractères, tous visibles.",
                count=LONGEST_DISPLAY_NAME,
            )
            return render(
                request,
                "account.html",
                status=422,
                account=account,
                pending=None,
                done="",
                errors={"display_name": error},
            )
        site = site_of(request)
        response = see_other("/compte?profil=enregistre")
        chosen = language if language in LANGUAGES else account.language
        async with site.open_portal() as portal:
            await keep_profile(
                request, portal, account.account_id, display_name=name, language=chosen
            )
        site.keep(response, site.language_cookie, chosen, YEAR_SECONDS)
        return response

    async def get_password(self, request: web.Request) -> web.StreamResponse:
        """Ask for the password in use and another one."""
        account = await own_account(request)
        if must_prove(request, account):
            return ask_again(CITIZENS, request.path)
        return _password_page(request, account, {})

    async def post_password(self, request: web.Request) -> web.StreamResponse:
        """Set another password; every other session ends, and every pending link."""
        fields = await read_form(request)
        account = await own_account(request)
        if must_prove(request, account):
            return ask_again(CITIZENS, request.path)
        if not await proves_again(request, self._passwords, account, fields.get("current")):
            errors = {"current": _not_the_password(request)}
            return _password_page(request, account, errors, status=401)
        password = fields.get("password")
        personal = [text for text in (account.email, account.display_name) if text]
        problem = await password_problem(request, password, personal)
        if problem:
            return _password_page(request, account, {"password": problem}, status=422)
        password_hash = await self._passwords.hash(password)
        site = site_of(request)
        async with site.open_portal() as portal:
            await portal.set_password(account.account_id, password_hash)
            await portal.drop_proofs(account.account_id, PENDING)
            await tell(request, portal, Owner(account_id=account.account_id), "password-changed")
        response = see_other("/compte?profil=motdepasse")
        await renew_session(request, response, account.account_id)
        return response

    async def get_address(self, request: web.Request) -> web.StreamResponse:
        """Ask for another address, and the password."""
        account = await own_account(request)
        if must_prove(request, account):
            return ask_again(CITIZENS, request.path)
        return _address_page(request, account, "", {})

    async def post_address(self, request: web.Request) -> web.StreamResponse:
        """Send a letter to the other address; nothing changes until its link is opened.

        The answer is the same when the address is another account's: that one gets a letter.
        """
        fields = await read_form(request)
        account = await own_account(request)
        email = fields.get("email").strip().lower()
        problem = email_problem(request, email)
        if not problem and email == account.email and account.verified_at is not None:
            problem = say(request, "C’est déjà l’adresse de ce compte.")
        if problem:
            return _address_page(request, account, email, {"email": problem}, 422)
        if must_prove(request, account):
            return ask_again(CITIZENS, request.path)
        if not await proves_again(request, self._passwords, account, fields.get("current")):
            errors = {"current": _not_the_password(request)}
            return _address_page(request, account, email, errors, 401)
        await knock(request, by_name("address", email), by_address(request, "address"))
        async with site_of(request).open_portal() as portal:
            await _ask_address(request, portal, account, email)
        return see_other("/compte?adresse=demandee")

    async def post_forgetting(self, request: web.Request) -> web.StreamResponse:
        """Give up a change of address that is not confirmed yet."""
        account = await own_account(request)
        async with site_of(request).open_portal() as portal:
            await portal.drop_proofs(account.account_id, ("change",))
        return see_other("/compte")

    def operations(self) -> list[Operation]:
        """Return what is served."""
        return [
            page("GET", "/compte", self.get_account, "The account."),
            page("POST", "/compte", self.post_profile, "Change name and language."),
            page("GET", "/compte/mot-de-passe", self.get_password, "Change the password."),
            page("POST", "/compte/mot-de-passe", self.post_password, "Change the password."),
            page("GET", "/compte/adresse", self.get_address, "Change the address."),
            page("POST", "/compte/adresse", self.post_address, "Change the address."),
            page("POST", "/compte/adresse/renoncer", self.post_forgetting, "Keep the address."),
        ]


def _password_page(
    request: web.Request, account: Account, errors: dict[str, str], status: int = 200
) -> web.Response:
    return render(
        request,
        "password.html",
        status=status,
        account=account,
        errors=errors,
    )


def _address_page(
    request: web.Request,
    account: Account,
    email: str,
    errors: dict[str, str],
    status: int = 200,
) -> web.Response:
    return render(
        request,
        "address.html",
        status=status,
        account=account,
        email=email,
        errors=errors,
    )


async def own_account(request: web.Request) -> Account:
    """Return the account that is logged in.

    Raises:
        HTTPSeeOther: nobody is; to the login page and back here.
    """
    citizen = require_citizen(request)
    async with site_of(request).open_portal() as portal:
        account = await portal.account(citizen.account_id)
    if account is None:
        # Deleted a moment ago from another browser.
        location = "/connexion"
        raise web.HTTPSeeOther(location)
    return account


async def keep_profile(
    request: web.Request,
    portal: Portal,
    account_id: UUID,
    *,
    language: str,
    display_name: str | None = None,
) -> None:
    """Keep the language, and the name if one is given; tell notification when that changes it."""
    account = await portal.account(account_id)
    if account is None:
        return
    name = account.display_name if display_name is None else display_name
    await portal.set_profile(account_id, name, language)
    if language != account.language:
        await tell_contact(request, portal, account_id)


async def _ask_address(request: web.Request, portal: Portal, account: Account, email: str) -> None:
    now = site_of(request).clock.now()
    # One change at a time: an earlier letter's link is worth nothing any more.
    await portal.drop_proofs(account.account_id, ("change",))
    await portal.note(account.account_id, "address-asked", facts_of(request), now)
    other = await portal.find_account(email)
    if other is not None and other.verified_at is not None:
        await tell_account_exists(request, portal, email, other.language)
        # The account's own pages say that it waits for this address: of one that is given too, by
        # a secret that no letter brings.
        await add_link(request, portal, "change", account, email)
        return
    await send_link(
        request,
        portal,
        "change",
        account,
        email,
    )


def _not_the_password(request: web.Request) -> str:
    return say(request, "Ce n’est pas le mot de passe de ce compte.")
