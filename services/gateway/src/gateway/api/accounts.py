"""Accounts of citizens: opening one, logging in and out."""

from uuid import uuid4

from aiohttp import web

from gateway.api.assets import YEAR_SECONDS
from gateway.api.forgery import read_form
from gateway.api.language import LANGUAGES, say
from gateway.api.login import LONGEST_NAME, LONGEST_PASSWORD, prove
from gateway.api.site import (
    citizen_of,
    require_citizen,
    safe_path,
    see_other,
    site_of,
)
from gateway.api.throttling import by_address, knock
from gateway.api.web import log_in, page, render
from gateway.ports import Account, PasswordKeeper
from shared.http import Operation

SHORTEST_PASSWORD = 12
FEWEST_CHARACTERS = 5
"""CNIL 2022-100: twelve characters with throttling; no rule on which, no forced change."""
LEGAL = ("accessibilite", "mentions-legales", "donnees-personnelles")


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
            is_opened=request.query.get("compte") == "demande",
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
                is_opened=False,
            )
        response = see_other(following or "/factures")
        await log_in(request, response, account_id=account.account_id)
        return response

    async def post_logout(self, request: web.Request) -> web.StreamResponse:
        """End the session on the server and in the browser."""
        site = site_of(request)
        secret = request.cookies.get(site.session_cookie)
        if secret:
            async with site.open_portal() as portal:
                await portal.end_session(secret)
        response = see_other("/")
        for name in (site.session_cookie, site.payment_cookie):
            response.del_cookie(name, path="/", secure=site.is_secure, httponly=True)
        return response

    async def get_account(self, request: web.Request) -> web.Response:
        """Show the account."""
        return render(request, "account.html", account=require_citizen(request))

    async def get_opening(self, request: web.Request) -> web.Response:
        """Offer to open an account."""
        return render(request, "opening.html", email="", errors={})

    async def post_opening(self, request: web.Request) -> web.StreamResponse:
        """Open an account, unless the address has one: the answer is the same, and as slow.

        Whoever opened it logs in next. So nobody learns from here whether an address has an
        account, and a stranger who types an address gets neither its account nor its invoices.
        """
        fields = await read_form(request)
        email = fields.get("email").strip()
        password = fields.get("password")
        errors = _problems(request, email, password)
        if errors:
            return render(request, "opening.html", status=422, email=email, errors=errors)
        await knock(request, by_address(request, "opening"))
        account = Account(
            account_id=uuid4(),
            email=email,
            password_hash=await self._passwords.hash(password),
            verified_at=None,
        )
        site = site_of(request)
        async with site.open_portal() as portal:
            await portal.add_account(account, site.clock.now())
        return see_other("/connexion?compte=demande")

    async def post_language(self, request: web.Request) -> web.StreamResponse:
        """Speak another language from now on."""
        fields = await read_form(request)
        chosen = fields.get("langue")
        site = site_of(request)
        response = see_other(safe_path(fields.get("suite"), "/"))
        if chosen in LANGUAGES:
            site.keep(response, site.language_cookie, chosen, YEAR_SECONDS)
        return response

    async def get_legal(self, request: web.Request) -> web.Response:
        """Show one of the pages that the law asks for."""
        return render(request, f"{request.path.strip('/')}.html")

    def operations(self) -> list[Operation]:
        """Return what is served."""
        return [
            page("GET", "/", self.get_home, "Welcome."),
            page("GET", "/connexion", self.get_login, "Log in."),
            page("POST", "/connexion", self.post_login, "Log in."),
            page("POST", "/deconnexion", self.post_logout, "Log out."),
            page("GET", "/compte", self.get_account, "The account."),
            page("GET", "/compte/creer", self.get_opening, "Open an account."),
            page("POST", "/compte/creer", self.post_opening, "Open an account."),
            page("POST", "/langue", self.post_language, "Speak another language."),
            *(page("GET", f"/{name}", self.get_legal, f"Legal page: {name}.") for name in LEGAL),
        ]


def _problems(request: web.Request, email: str, password: str) -> dict[str, str]:
    """Return what is wrong, by field."""
    found: dict[str, str] = {}
    local, at, domain = email.rpartition("@")
    is_plain = email.isprintable() and not set(' ,;<>"') & set(email)
    if not (local and at and "." in domain.strip(".") and is_plain) or len(email) > LONGEST_NAME:
        found["email"] = say(
            request, "Écrivez une adresse électronique complète, par exemple camille@example.org."
        )
    if len(password) < SHORTEST_PASSWORD:
        found["password"] = say(
            request,
            "Le mot de passe compte au moins %(count)d caractères.",
            count=SHORTEST_PASSWORD,
        )
    elif len(password) > LONGEST_PASSWORD:
        found["password"] = say(
            request, "Le mot de passe compte au plus %(count)d caractères.", count=LONGEST_PASSWORD
        )
    elif len(set(password)) < FEWEST_CHARACTERS or password.lower() == email.lower():
        found["password"] = say(
            request, "Ce mot de passe se devine trop facilement : choisissez-en un autre."
        )
    return found
