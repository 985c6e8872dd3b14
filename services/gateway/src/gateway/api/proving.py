"""Checking a second factor: a code of an application, a passkey, a recovery code."""

import base64
import secrets
from typing import Literal

import msgspec
from aiohttp import web

from gateway.adapters.passkeys import Answer, RelyingParty, handle_of
from gateway.adapters.totp import period_of
from gateway.adapters.vault import Vault
from gateway.api.forgery import Form, seal
from gateway.api.site import site_of
from gateway.api.throttling import alarm, by_address, by_name, knock
from gateway.api.web import FORM_SEAL
from gateway.ports import Owner, PasskeyFactor, Portal

TICKET_SECONDS = 600
CHALLENGE_BYTES = 32
CODES = 10
CODE_BYTES = 10
"""80 random bits for each recovery code: no salt and no slow hash are needed (ASVS 11.5.1)."""
CODE_LENGTH = 16
GROUP = 4
LONGEST_TYPED = 64

TicketPurpose = Literal["register", "verify", "sign-in", "prove"]


class Ticket(msgspec.Struct, frozen=True):
    """What a page hands out with a challenge, sealed, and gets back with the answer."""

    purpose: str
    holder: str
    challenge: bytes


def vault_of(request: web.Request) -> Vault:
    """Return what seals for this portal."""
    return Vault(site_of(request).sealing_keys)


def party_of(request: web.Request) -> RelyingParty:
    """Return the portal as passkeys know it."""
    return RelyingParty(site_of(request).public_url)


def new_ticket(request: web.Request, purpose: TicketPurpose) -> tuple[bytes, str]:
    """Return a challenge, and the sealed ticket that brings it back within ten minutes.

    Nothing is kept for a page that is only looked at; what is answered is kept, to be answered
    once. The ticket is good in this browser and under this session, and for this purpose.
    """
    challenge = secrets.token_bytes(CHALLENGE_BYTES)
    ticket = Ticket(purpose, _holder(request), challenge)
    sealed = vault_of(request).hand_out(msgspec.json.encode(ticket), _moment(request))
    return challenge, sealed


def challenge_of(request: web.Request, purpose: TicketPurpose, handed: str) -> bytes | None:
    """Return the challenge of a ticket of ours; None when it is another's, or too old."""
    opened = vault_of(request).take_back(handed, _moment(request), TICKET_SECONDS)
    if opened is None:
        return None
    ticket = msgspec.json.decode(opened, type=Ticket)
    is_ours = ticket.purpose == purpose and ticket.holder == _holder(request)
    return ticket.challenge if is_ours else None


def _holder(request: web.Request) -> str:
    """Return what stands for this browser and what it has proved so far, and tells neither.

    The seal of its forms is of the browser and the session; a login half made is no session.
    """
    site = site_of(request)
    pending = request.cookies.get(site.pending_cookie, "")
    return seal(site, request[FORM_SEAL], f"ticket {pending}")


def _moment(request: web.Request) -> int:
    return int(site_of(request).clock.now().timestamp())


def new_recovery_codes() -> list[str]:
    """Return ten codes of 80 random bits, as they are kept; `grouped` shows them."""
    return [
        base64.b32encode(secrets.token_bytes(CODE_BYTES)).decode().lower() for _ in range(CODES)
    ]


def as_recovery_code(typed: str) -> str:
    """Return a code as it is kept, however it was typed: case, spaces and hyphens say nothing."""
    plain = "".join(typed[:LONGEST_TYPED].split()).replace("-", "").lower()
    # Base32 has neither 0 nor 1, which people read in O and L.
    return plain.replace("0", "o").replace("1", "l")


def shown_recovery_code(code: str) -> str:
    """Return a code as it is shown: in groups."""
    return "-".join(code[start : start + GROUP] for start in range(0, len(code), GROUP))


def digits_of(typed: str) -> str:
    """Return the digits of a code, however it was typed."""
    return "".join(typed[:LONGEST_TYPED].split())


async def prove_factor(
    request: web.Request, owner: Owner, form: Form, purpose: TicketPurpose
) -> str:
    """Return the way by which somebody proved a second factor; empty when it does not hold.

    Nothing tells a wrong code from one that was used, or that nobody has.

    Raises:
        ProblemError: 429, too many attempts for that person or from that place.
    """
    by_whom, from_where = by_name("factor", owner.name), by_address(request, "factor")
    await knock(request, by_whom, from_where)
    means = form.get("moyen")
    async with site_of(request).open_portal() as portal:
        if means == "totp":
            is_right = await _is_totp(request, portal, owner, digits_of(form.get("code")))
        elif means == "secours":
            code = as_recovery_code(form.get("code"))
            is_right = await portal.use_recovery_code(owner, code, site_of(request).clock.now())
        else:
            passkey = await prove_passkey(request, portal, form, purpose)
            is_right = passkey is not None and passkey.owner == owner
        if is_right:
            await portal.forgive(by_whom, (from_where,))
    if not is_right:
        await alarm(request, "factor")
        return ""
    return means or "cle"


async def _is_totp(request: web.Request, portal: Portal, owner: Owner, code: str) -> bool:
    vault, now = vault_of(request), site_of(request).clock.now()
    for factor in await portal.totp_factors(owner):
        secret = vault.open(factor.sealed_secret)
        if secret is None:
            continue
        period = period_of(secret.decode(), code, now, factor.last_period)
        if period is not None and await portal.use_totp(factor.factor_id, period, now):
            return True
    return False


async def prove_passkey(
    request: web.Request, portal: Portal, form: Form, purpose: TicketPurpose
) -> PasskeyFactor | None:
    """Return the passkey that answered the challenge of `form`, once; None when none did."""
    challenge = challenge_of(request, purpose, form.get("ticket"))
    if challenge is None:
        return None
    try:
        answer = Answer(form.get("reponse"))
    except ValueError:
        return None
    passkey = await portal.find_passkey(answer.credential_id)
    if passkey is None:
        return None
    # WebAuthn 7.2, step 6: whoever is named must be who owns it; who is known need not be named.
    is_named = answer.handle or purpose == "sign-in"
    if is_named and answer.handle != handle_of(passkey.owner):
        return None
    sign_count = party_of(request).signed(answer, passkey, challenge)
    now = site_of(request).clock.now()
    if sign_count is None or not await portal.spend_challenge(challenge, now):
        return None
    await portal.use_passkey(passkey.factor_id, sign_count, now)
    return passkey
