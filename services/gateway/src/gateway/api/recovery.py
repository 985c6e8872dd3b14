"""A forgotten password: a letter, a link that lives half an hour, another password."""

from datetime import timedelta

from aiohttp import web

from gateway.api.credentials import email_problem, password_problem
from gateway.api.entry import tell
from gateway.api.forgery import read_form
from gateway.api.language import language_of
from gateway.api.letters import letter, send_link
from gateway.api.proofs import PENDING, SECRET, take, take_over, worthless
from gateway.api.site import see_other, site_of
from gateway.api.throttling import by_address, by_name, knock
from gateway.api.web import page, render
from gateway.ports import Owner, PasswordKeeper, Portal
from shared.http import Operation

NO_ACCOUNT_EVERY = timedelta(days=1)
"""An address without an account is told so once a day: its owner learns which address it was, and
nobody can pester them through us."""


class Recovery:
    """Pages for who forgot a password.

    They lead to the login page and no further: a second factor is asked for there as ever (ASVS
    6.4.3).
    """

    def __init__(self, passwords: PasswordKeeper) -> None:
        """Hash passwords with `passwords`."""
        self._passwords = passwords

    async def get_forgotten(self, request: web.Request) -> web.Response:
        """Ask for the address."""
        email = request.query.get("email", "")[:200]
        return render(request, "forgotten.html", email=email, errors={}, is_sent=False)

    async def post_forgotten(self, request: web.Request) -> web.StreamResponse:
        """Send a letter; one answer, and one amount of work, whatever the address (ASVS 6.3.8)."""
        fields = await read_form(request)
        email = fields.get("email").strip().lower()
        problem = email_problem(request, email)
        if problem:
            return render(
                request,
                "forgotten.html",
                status=422,
                email=email,
                errors={"email": problem},
                is_sent=False,
            )
        await knock(request, by_name("forgotten", email), by_address(request, "forgotten"))
        async with site_of(request).open_portal() as portal:
            await _answer(request, portal, email)
        return see_other("/connexion/oubli/envoye")

    async def get_sent(self, request: web.Request) -> web.Response:
        """Say that a letter left, if there is an account."""
        return render(request, "forgotten.html", email="", errors={}, is_sent=True)

    async def get_reset(self, request: web.Request) -> web.Response:
        """Ask for another password."""
        site = site_of(request)
        async with site.open_portal() as portal:
            secret = request.match_info["secret"]
            proof = await portal.find_proof(secret, ("reset",), site.clock.now())
        if proof is None:
            raise worthless(request)
        return render(request, "reset.html", email=proof.email, errors={})

    async def post_reset(self, request: web.Request) -> web.StreamResponse:
        """Set another password; every session and every other pending link ends."""
        fields = await read_form(request)
        site = site_of(request)
        password = fields.get("password")
        await knock(request, by_address(request, "proof"))
        async with site.open_portal() as portal:
            secret = request.match_info["secret"]
            proof = await portal.find_proof(secret, ("reset",), site.clock.now())
        if proof is None:
            raise worthless(request)
        problem = await password_problem(request, password, [proof.email])
        if problem:
            return render(
                request,
                "reset.html",
                status=422,
                email=proof.email,
                errors={"password": problem},
            )
        password_hash = await self._passwords.hash(password)
        async with site.open_portal() as portal:
            await _reset(request, portal, password_hash)
        return see_other("/connexion?compte=motdepasse")

    def operations(self) -> list[Operation]:
        """Return what is served."""
        reset = f"/connexion/oubli/{SECRET}"
        return [
            page("GET", "/connexion/oubli", self.get_forgotten, "A forgotten password."),
            page("POST", "/connexion/oubli", self.post_forgotten, "A forgotten password."),
            page("GET", "/connexion/oubli/envoye", self.get_sent, "A letter left."),
            page("GET", reset, self.get_reset, "Choose another password."),
            page("POST", reset, self.post_reset, "Choose another password."),
        ]


async def _answer(request: web.Request, portal: Portal, email: str) -> None:
    site = site_of(request)
    account = await portal.find_account(email)
    if account is not None:
        await send_link(request, portal, "reset", account, email)
        return
    if await portal.is_first_within(f"no-account {email}", NO_ACCOUNT_EVERY, site.clock.now()):
        await portal.publish(
            letter(request, "no-account", email, language_of(request), path="/compte/creer")
        )


async def _reset(request: web.Request, portal: Portal, password_hash: str) -> None:
    proof, account = await take(request, portal, ("reset",))
    if account is not None and account.email != proof.email:
        # The account has another address by now: this mailbox opens it no more.
        raise worthless(request)
    if account is None or account.verified_at is None:
        account_id = await take_over(request, portal, proof, account, password_hash)
    else:
        account_id = account.account_id
        await portal.set_password(account_id, password_hash)
        await portal.end_sessions(account_id)
        await portal.drop_proofs(account_id, PENDING)
    owner = Owner(account_id=account_id)
    await tell(request, portal, owner, "password-changed", noted="password-reset")
