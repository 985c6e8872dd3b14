"""Accounts of citizens: opening one, logging in and out."""

from uuid import uuid4

from aiohttp import web

from gateway.adapters.passwords import Passwords
from gateway.api.login import LONGEST_PASSWORD, prove
from gateway.api.web import (
    buckets,
    log_in,
    render,
    require_citizen,
    require_open,
    safe_path,
    see_other,
    site_of,
)
from gateway.ports import Account
from gateway.store import PostgresPortal
from shared.http import Operation

SHORTEST_PASSWORD = 12
"""CNIL 2022-100: twelve characters with throttling; no rule on which, no forced change."""


class Accounts:
    """Pages of accounts."""

    def __init__(self, passwords: Passwords) -> None:
        """Check passwords with `passwords`."""
        self._passwords = passwords

    async def get_home(self, request: web.Request) -> web.Response:
        """Welcome."""
        return render(request, "home.html")

    async def get_login(self, request: web.Request) -> web.Response:
        """Ask who is there."""
        return render(
            request, "login.html", email="", error="", next=request.query.get("suite", "")
        )

    async def post_login(self, request: web.Request) -> web.StreamResponse:
        """Log in; one answer for an unknown address and a wrong password."""
        fields = await request.post()
        email = str(fields.get("email", "")).strip()[:254]
        account = await prove(
            request,
            self._passwords,
            "login",
            email,
            str(fields.get("password", "")),
            PostgresPortal.find_account,
        )
        if account is None:
            return render(
                request,
                "login.html",
                status=401,
                email=email,
                error="Adresse ou mot de passe incorrect.",
                next=str(fields.get("suite", "")),
            )
        response = see_other(safe_path(str(fields.get("suite", ""))))
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
        response.del_cookie(site.session_cookie, path="/", secure=site.is_secure)
        return response

    async def get_account(self, request: web.Request) -> web.Response:
        """Show the account."""
        return render(request, "account.html", account=require_citizen(request))

    async def get_opening(self, request: web.Request) -> web.Response:
        """Offer to open an account."""
        return render(request, "opening.html", email="", error="")

    async def post_opening(self, request: web.Request) -> web.StreamResponse:
        """Open an account and log in; an address that has one gets the same words as a typo."""
        fields = await request.post()
        email = str(fields.get("email", "")).strip()[:254]
        password = str(fields.get("password", ""))
        error = _problem(email, password)
        names = buckets(request, "opening")
        await require_open(request, names)
        if not error:
            account = Account(
                account_id=uuid4(),
                email=email,
                password_hash=await self._passwords.hash(password),
                verified_at=None,
            )
            site = site_of(request)
            async with site.open_portal() as portal:
                is_new = await portal.add_account(account, site.clock.now())
                await portal.fail(names, site.clock.now())
            if is_new:
                response = see_other("/factures")
                await log_in(request, response, account_id=account.account_id)
                return response
            error = "Ce compte ne peut être créé. Si vous en avez déjà un, connectez-vous."
        return render(request, "opening.html", status=422, email=email, error=error)

    async def get_legal(self, request: web.Request) -> web.Response:
        """Show one of the pages that the law asks for."""
        return render(request, f"{request.path.strip('/')}.html")

    def operations(self) -> list[Operation]:
        """Return what is served."""

        def page(method: str, path: str, handler: object, summary: str) -> Operation:
            return Operation(
                method=method,
                path=path,
                handler=handler,  # type: ignore[arg-type]
                summary=summary,
                responses={200: "text/html"},
                tags=("portal",),
            )

        return [
            page("GET", "/", self.get_home, "Welcome."),
            page("GET", "/connexion", self.get_login, "Log in."),
            page("POST", "/connexion", self.post_login, "Log in."),
            page("POST", "/deconnexion", self.post_logout, "Log out."),
            page("GET", "/compte", self.get_account, "The account."),
            page("GET", "/compte/creer", self.get_opening, "Open an account."),
            page("POST", "/compte/creer", self.post_opening, "Open an account."),
            page("GET", "/accessibilite", self.get_legal, "Accessibility statement."),
            page("GET", "/mentions-legales", self.get_legal, "Legal notice."),
            page("GET", "/donnees-personnelles", self.get_legal, "Personal data."),
        ]


def _problem(email: str, password: str) -> str:
    local, at, domain = email.partition("@")
    if not (local and at and "." in domain) or not email.isprintable() or " " in email:
        return "Écrivez une adresse électronique complète, par exemple camille@example.org."
    if len(password) < SHORTEST_PASSWORD:
        return f"Le mot de passe compte au moins {SHORTEST_PASSWORD} caractères."
    if len(password) > LONGEST_PASSWORD:
        return f"Le mot de passe compte au plus {LONGEST_PASSWORD} caractères."
    return ""
