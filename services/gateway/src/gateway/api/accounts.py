"""Accounts of citizens: opening one, logging in and out."""

from uuid import uuid4

from aiohttp import web

from gateway.api.assets import YEAR_SECONDS
from gateway.api.copies import forget_copies
from gateway.api.credentials import email_problem, password_problem
from gateway.api.facts import facts_of
from gateway.api.forgery import read_form
from gateway.api.language import LANGUAGES, language_of, say
from gateway.api.leaving import end_session
from gateway.api.letters import send_link, tell_account_exists
from gateway.api.login import LONGEST_NAME, prove
from gateway.api.profile import keep_profile
from gateway.api.site import (
    citizen_of,
    safe_path,
    see_other,
    site_of,
)
from gateway.api.throttling import by_address, by_name, knock
from gateway.api.web import log_in, page, render
from gateway.ports import Account, PasswordKeeper, Portal
from shared.http import Operation


class Accounts:
    """Pages of accounts."""

    def __init__(self, passwords: PasswordKeeper) -> None:
        """Check passwords with `passwords`."""
        self._passwords = passwords

    async def get_home(self, request: web.Request) -> web.Response:
        """Welcome."""
        return render(request, "home.html", code="", error="")

    async def get_login(self, request: web.Request) -> web.StreamResponse:
        """Ask who is there."""
        following = safe_path(request.query.get("suite", ""), "")
        if citizen_of(request) is not None:
            return see_other(following or "/factures")
        return render(
            request,
            "login.html",
            email="",
            error="",
            following=following,
            done=request.query.get("compte", ""),
        )

    async def post_login(self, request: web.Request) -> web.StreamResponse:
        """Log in; one answer for an unknown address and a wrong password."""
        fields = await read_form(request)
        email = fields.get("email").strip()[:LONGEST_NAME]
        following = safe_path(fields.get("suite"), "")
        account = await prove(
            request,
            self._passwords,
            "login",
            email,
            fields.get("password"),
            lambda portal, name: portal.find_account(name),
        )
        if account is None:
            return render(
                request,
                "login.html",
                status=401,
                email=email,
                error=say(request, "Adresse ou mot de passe incorrect."),
                following=following,
                done="",
            )
        response = see_other(following or "/factures")
        await log_in(request, response, account_id=account.account_id)
        site_of(request).keep(
            response, site_of(request).language_cookie, account.language, YEAR_SECONDS
        )
        return response

    async def post_logout(self, request: web.Request) -> web.StreamResponse:
        """End the session on the server and in the browser."""
        site = site_of(request)
        response = see_other(await end_session(request))
        for name in (site.session_cookie, site.payment_cookie):
            response.del_cookie(name, path="/", secure=site.is_secure, httponly=True)
        forget_copies(response)
        return response

    async def get_opening(self, request: web.Request) -> web.Response:
        """Offer to open an account."""
        return render(request, "opening.html", email="", errors={})

    async def post_opening(self, request: web.Request) -> web.StreamResponse:
        """Open an account, unless the address has one: the answer is the same, and as slow.

        A letter goes out in any case: to confirm the address, or to say that it has an account. So
        nobody learns from here whether an address has one (ASVS 6.3.8), and a stranger who types an
        address gets neither its account nor its invoices.
        """
        fields = await read_form(request)
        email = fields.get("email").strip().lower()
        password = fields.get("password")
        await knock(request, by_address(request, "opening"))
        errors = {
            "email": email_problem(request, email),
            "password": await password_problem(request, password, [email]),
        }
        if any(errors.values()):
            errors = {name: problem for name, problem in errors.items() if problem}
            return render(request, "opening.html", status=422, email=email, errors=errors)
        await knock(request, by_name("opening", email))
        password_hash = await self._passwords.hash(password)
        async with site_of(request).open_portal() as portal:
            await _open(request, portal, email, password_hash)
        return see_other("/connexion?compte=demande")

    async def post_language(self, request: web.Request) -> web.StreamResponse:
        """Speak another language from now on, also in letters to who is logged in."""
        fields = await read_form(request)
        chosen = fields.get("langue")
        site = site_of(request)
        response = see_other(safe_path(fields.get("suite"), "/"))
        if chosen not in LANGUAGES:
            return response
        site.keep(response, site.language_cookie, chosen, YEAR_SECONDS)
        citizen = citizen_of(request)
        if citizen is not None:
            async with site.open_portal() as portal:
                await keep_profile(request, portal, citizen.account_id, language=chosen)
        return response

    def operations(self) -> list[Operation]:
        """Return what is served."""
        return [
            page("GET", "/", self.get_home, "Welcome."),
            page("GET", "/connexion", self.get_login, "Log in."),
            page("POST", "/connexion", self.post_login, "Log in."),
            page("POST", "/deconnexion", self.post_logout, "Log out."),
            page("GET", "/compte/creer", self.get_opening, "Open an account."),
            page("POST", "/compte/creer", self.post_opening, "Open an account."),
            page("POST", "/langue", self.post_language, "Speak another language."),
        ]


async def _open(request: web.Request, portal: Portal, email: str, password_hash: str) -> None:
    site = site_of(request)
    now, language = site.clock.now(), language_of(request)
    await portal.hold_address(email)
    account = await portal.find_account(email)
    if account is not None and account.verified_at is not None:
        await tell_account_exists(request, portal, email, account.language)
        return
    if account is None:
        account = Account(
            account_id=uuid4(),
            email=email,
            password_hash=password_hash,
            verified_at=None,
            language=language,
        )
        await portal.add_account(account, now)
        await portal.note(account.account_id, "account-opened", facts_of(request), now)
    # The letter carries the password of this very demand: where somebody else claimed the address
    # before, its owner takes it over with it.
    await send_link(request, portal, "open", account, email, password_hash=password_hash)
