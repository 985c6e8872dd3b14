"""Proving an address: the page that a letter's link opens, another letter, taking a change back.

A GET changes nothing, since mail scanners open links; the button does (ASVS 3.5.1).
"""

import hmac
from uuid import UUID, uuid4

from aiohttp import web

from gateway.api.credentials import password_problem, renew_session
from gateway.api.entry import tell
from gateway.api.facts import facts_of
from gateway.api.forgery import read_form
from gateway.api.language import language_of, moment_in, say
from gateway.api.letters import LIVES, browser_digest, letter, send_link, tell_contact
from gateway.api.login import LONGEST_PASSWORD
from gateway.api.site import citizen_of, require_citizen, see_other, site_of
from gateway.api.throttling import by_address, by_name, knock
from gateway.api.web import log_in, page, render
from gateway.ports import Account, Owner, PasswordKeeper, Portal, Proof, ProofPurpose
from shared.http import Operation
from shared.problem import ProblemError

CONFIRMING: tuple[ProofPurpose, ...] = ("open", "change")
PENDING: tuple[ProofPurpose, ...] = ("open", "reset", "change")
"""What a new password or address makes worthless; taking a change back outlives both."""
SECRET = "{secret:[A-Za-z0-9_-]{43}}"  # noqa: S105 - the form of an address


class Proofs:
    """Pages that letters lead to."""

    def __init__(self, passwords: PasswordKeeper) -> None:
        """Check passwords with `passwords`."""
        self._passwords = passwords

    async def get_confirmation(self, request: web.Request) -> web.Response:
        """Offer to confirm an address."""
        proof, account = await _find(request, CONFIRMING)
        return _confirmation(request, proof, account)

    async def post_confirmation(self, request: web.Request) -> web.StreamResponse:
        """Confirm an address, and log in.

        Who reads a mailbox is not always who typed its address: a stranger may have opened the
        account, and waits for the owner to confirm it. So the browser that asked may confirm, or
        who is logged in, or who knows the password that was chosen; nobody else.
        """
        fields = await read_form(request)
        proof, account = await _find(request, CONFIRMING)
        if not _is_who_asked(request, proof):
            known = _password_hash(proof, account)
            if known is None:
                return see_other(f"/connexion?suite={request.path}")
            if not await self._knows(request, proof, known, fields.get("password")):
                error = say(request, "Ce n’est pas le mot de passe choisi pour ce compte.")
                return _confirmation(request, proof, account, status=401, error=error)
        site = site_of(request)
        async with site.open_portal() as portal:
            account_id = await _confirm(request, portal)
        response = see_other("/compte?adresse=confirmee")
        citizen = citizen_of(request)
        if citizen is not None and citizen.account_id == account_id:
            await renew_session(request, response, account_id)
        else:
            await log_in(request, response, account_id=account_id, method="link")
        return response

    async def post_resending(self, request: web.Request) -> web.StreamResponse:
        """Send the letter again, to who is logged in and has not confirmed the address yet."""
        citizen = require_citizen(request)
        name = str(citizen.account_id)
        await knock(request, by_name("confirm", name), by_address(request, "confirm"))
        async with site_of(request).open_portal() as portal:
            account = await portal.account(citizen.account_id)
            if account is not None and account.email and account.verified_at is None:
                await send_link(
                    request,
                    portal,
                    "open",
                    account,
                    account.email,
                    password_hash=account.password_hash,
                )
        return see_other("/compte?adresse=demandee")

    async def get_undoing(self, request: web.Request) -> web.Response:
        """Offer to go back to the address that an account had."""
        proof, _ = await _find(request, ("undo",))
        return render(request, "undo_address.html", email=proof.email, errors={})

    async def post_undoing(self, request: web.Request) -> web.StreamResponse:
        """Go back to the address that an account had, with a new password, logged out everywhere.

        Who changed the address knew the password or held a session: both are worth nothing now, and
        so is each way in that was added since, of which only the other address was told.
        """
        fields = await read_form(request)
        proof, _ = await _find(request, ("undo",))
        await knock(request, by_address(request, "proof"))
        problem = await password_problem(request, fields.get("password"), [proof.email])
        if problem:
            return render(
                request,
                "undo_address.html",
                status=422,
                email=proof.email,
                errors={"password": problem},
            )
        password_hash = await self._passwords.hash(fields.get("password"))
        async with site_of(request).open_portal() as portal:
            await _undo(request, portal, password_hash)
        return see_other("/connexion?compte=retabli")

    def operations(self) -> list[Operation]:
        """Return what is served."""
        confirmation = f"/compte/confirmer/{SECRET}"
        undoing = f"/compte/adresse/retablir/{SECRET}"
        return [
            page("GET", confirmation, self.get_confirmation, "Confirm an address."),
            page("POST", confirmation, self.post_confirmation, "Confirm an address."),
            page("POST", "/compte/confirmer", self.post_resending, "Send the letter again."),
            page("GET", undoing, self.get_undoing, "Take a change of address back."),
            page("POST", undoing, self.post_undoing, "Take a change of address back."),
        ]

    async def _knows(
        self, request: web.Request, proof: Proof, password_hash: str, password: str
    ) -> bool:
        by_whom = by_name("proof", str(proof.account_id or proof.email))
        from_where = by_address(request, "proof")
        await knock(request, by_whom, from_where)
        is_possible = len(password) <= LONGEST_PASSWORD
        if not is_possible or not await self._passwords.matches(password_hash, password):
            return False
        async with site_of(request).open_portal() as portal:
            await portal.forgive(by_whom, (from_where,))
        return True


def _confirmation(
    request: web.Request,
    proof: Proof,
    account: Account | None,
    *,
    status: int = 200,
    error: str = "",
) -> web.Response:
    is_known = _is_who_asked(request, proof)
    return render(
        request,
        "confirm_address.html",
        status=status,
        email=proof.email,
        is_change=proof.purpose == "change",
        asks_password=not is_known and _password_hash(proof, account) is not None,
        asks_login=not is_known and _password_hash(proof, account) is None,
        error=error,
    )


def _is_who_asked(request: web.Request, proof: Proof) -> bool:
    """Tell whether the browser is the one that asked for the letter, or is in the account."""
    citizen = citizen_of(request)
    if citizen is not None and citizen.account_id == proof.account_id:
        return True
    held = browser_digest(request)
    # A change adds an address to an account that exists: it takes being in that account.
    if proof.purpose != "open" or held is None or proof.browser_sha256 is None:
        return False
    return hmac.compare_digest(held, proof.browser_sha256)


def _password_hash(proof: Proof, account: Account | None) -> str | None:
    if proof.purpose == "open" or account is None:
        return proof.password_hash
    return account.password_hash


def worthless(request: web.Request) -> ProblemError:
    """Return the answer to a secret that is not, or not any more, good for this."""
    return ProblemError(
        410,
        "link-ended",
        say(
            request,
            "Ce lien a déjà servi, a expiré ou a été remplacé par un plus récent. Demandez-en un"
            " nouveau depuis la page de connexion ou votre compte.",
        ),
    )


async def _find(
    request: web.Request, purposes: tuple[ProofPurpose, ...]
) -> tuple[Proof, Account | None]:
    site = site_of(request)
    async with site.open_portal() as portal:
        proof = await portal.find_proof(request.match_info["secret"], purposes, site.clock.now())
        if proof is None:
            raise worthless(request)
        return proof, await _account_of(request, portal, proof)


async def _account_of(request: web.Request, portal: Portal, proof: Proof) -> Account | None:
    """Return the account that a proof is about, or who claims the address that it alone is about.

    Raises:
        ProblemError: 410, the account is gone, or somebody has proved the address since.
    """
    if proof.account_id is None:
        account = await portal.find_account(proof.email)
        is_good = account is None or account.verified_at is None
    else:
        account = await portal.account(proof.account_id)
        is_good = account is not None
    if not is_good:
        raise worthless(request)
    return account


async def take(
    request: web.Request, portal: Portal, purposes: tuple[ProofPurpose, ...]
) -> tuple[Proof, Account | None]:
    """Use the address's secret up; return what it proves, and the account it is about.

    That is None where it was asked for an address alone, which nobody claims any more.

    Raises:
        ProblemError: 410, it was used, is too old or for another end.
    """
    now = site_of(request).clock.now()
    proof = await portal.take_proof(request.match_info["secret"], purposes, now)
    if proof is None:
        raise worthless(request)
    # Whoever else proves this address waits, and finds the account as it will be.
    await portal.hold_address(proof.email)
    return proof, await _account_of(request, portal, proof)


async def _confirm(request: web.Request, portal: Portal) -> UUID:
    """Give the account the address that is proved; return the account to log in to."""
    now = site_of(request).clock.now()
    proof, account = await take(request, portal, CONFIRMING)
    if account is None:
        return await take_over(request, portal, proof, None, proof.password_hash)
    if proof.purpose == "open":
        if account.verified_at is not None or account.email != proof.email:
            raise worthless(request)
        if account.password_hash != proof.password_hash:
            return await take_over(request, portal, proof, account, proof.password_hash)
        await _give(request, portal, account, proof.email)
    else:
        await _give(request, portal, account, proof.email)
        if account.email is not None and account.verified_at is not None:
            await send_link(
                request,
                portal,
                "undo",
                account,
                account.email,
                details={
                    "new_address": veiled(proof.email),
                    "moment": moment_in(account.language, now),
                },
            )
    await portal.drop_proofs(account.account_id, PENDING)
    await portal.note(account.account_id, "address-confirmed", facts_of(request), now)
    await tell_contact(request, portal, account.account_id)
    return account.account_id


async def _give(request: web.Request, portal: Portal, account: Account, email: str) -> None:
    now = site_of(request).clock.now()
    if not await portal.give_address(account.account_id, email, now):
        raise ProblemError(
            409,
            "address-taken",
            say(
                request,
                "Cette adresse est déjà celle d’un autre compte, qui l’a confirmée. Rien n’a"
                " changé.",
            ),
        )


async def take_over(
    request: web.Request,
    portal: Portal,
    proof: Proof,
    claimed: Account | None,
    password_hash: str | None,
) -> UUID:
    """Open an account for who reads the mail of an address, in place of one that only claimed it.

    Whoever opened the other one may be a stranger who waits for the owner: nothing of it stays, no
    password, session, second factor or link (A. Sudhodanan, A. Paverd, "Pre-hijacked accounts",
    USENIX Security 2022).
    """
    now = site_of(request).clock.now()
    if claimed is not None:
        await portal.close_account(claimed.account_id, now)
    account = Account(
        account_id=uuid4(),
        email=proof.email,
        password_hash=password_hash,
        verified_at=now,
        language=language_of(request),
    )
    await portal.add_account(account, now)
    await portal.note(account.account_id, "address-confirmed", facts_of(request), now)
    await tell_contact(request, portal, account.account_id)
    return account.account_id


async def _undo(request: web.Request, portal: Portal, password_hash: str) -> None:
    proof, account = await take(request, portal, ("undo",))
    if account is None:
        raise worthless(request)
    await _give(request, portal, account, proof.email)
    await portal.set_password(account.account_id, password_hash)
    changed_at = proof.expires_at - LIVES["undo"]
    await portal.remove_factors_since(account.account_id, changed_at)
    await portal.drop_identity_since(account.account_id, changed_at)
    await portal.end_sessions(account.account_id)
    await portal.drop_proofs(account.account_id, PENDING)
    await portal.drop_later_undos(proof)
    await tell_contact(request, portal, account.account_id)
    owner = Owner(account_id=account.account_id)
    await tell(request, portal, owner, "password-changed", noted="address-restored")
    if account.email is not None:
        # Who reads the address that is given up may be a thief: no secret, and not from where.
        details = {
            "new_address": veiled(proof.email),
            "moment": moment_in(account.language, site_of(request).clock.now()),
        }
        await portal.publish(
            letter(request, "address-changed", account.email, account.language, details=details)
        )


def veiled(email: str) -> str:
    """Return an address that its owner recognises and nobody else learns: `c•••@exemple.test`."""
    local, _, domain = email.rpartition("@")
    return f"{local[:1]}•••@{domain}"
