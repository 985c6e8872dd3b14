"""Letting somebody in: at once, or after the second factor that they have or owe.

A session opens under a new secret only when all is proved (ASVS 7.2.4). Until then there is a
pending login, with a cookie of its own, and nothing opens with it (ASVS 6.3.3).
"""

import secrets
from datetime import timedelta
from uuid import uuid4

from aiohttp import web

from gateway.api.assets import YEAR_SECONDS
from gateway.api.facts import facts_of
from gateway.api.language import moment_in
from gateway.api.site import site_of
from gateway.ports import Owner, PendingLogin, Portal
from shared.events import LetterDue
from shared.events.letter_due import LetterKind

SESSION_SECONDS = 12 * 3600
PENDING_SECONDS = 600
WHOLE = ("franceconnect", "passkey")
"""Ways in after which nothing is asked: the State's forbids it, a passkey is two factors in one."""
VERIFICATION = "/connexion/verification"
ACTIVATION = "/regie/activation"
"""Where an agent without a second factor makes one, before anything else (ASVS 6.3.3)."""
OWN_BROWSER = timedelta(hours=1)
"""Whoever opened an account just now needs no letter that they signed in."""


async def begin(request: web.Request, response: web.Response, owner: Owner, method: str) -> None:
    """Open a session, or send the browser to what is still to be proved.

    `response` leads where the visitor was going; it is turned aside when a second factor is owed.
    """
    site = site_of(request)
    async with site.open_portal() as portal:
        has_factor = bool(await portal.factors(owner))
        if method not in WHOLE and (has_factor or owner.is_agent):
            secret = secrets.token_urlsafe(32)
            pending = PendingLogin(
                owner=owner, method=method, following=response.headers.get("Location", "/")
            )
            await portal.open_pending(secret, pending, site.clock.now())
            site.keep(response, site.pending_cookie, secret, PENDING_SECONDS)
            response.headers["Location"] = VERIFICATION if has_factor else ACTIVATION
            return
    await enter(request, response, owner, method)


async def enter(request: web.Request, response: web.Response, owner: Owner, method: str) -> None:
    """Open a session under a new secret; one that the browser had before ends."""
    site = site_of(request)
    secret = secrets.token_urlsafe(32)
    held = request.cookies.get(site.browser_cookie) or secrets.token_urlsafe(32)
    now, facts = site.clock.now(), facts_of(request)
    async with site.open_portal() as portal:
        earlier = request.cookies.get(site.session_cookie)
        if earlier:
            await portal.end_session(earlier)
        browser_id, is_new = await portal.recognise_browser(owner, held, facts.browser, now)
        await portal.open_session(
            secret,
            now,
            account_id=owner.account_id,
            login=owner.login,
            method=method,
            facts=facts,
            browser_id=browser_id,
        )
        if is_new and not await portal.is_young(owner, now - OWN_BROWSER):
            await tell(request, portal, owner, "new-device")
        elif owner.account_id is not None:
            await portal.note(owner.account_id, "signed-in", facts, now)
    site.keep(response, site.session_cookie, secret, SESSION_SECONDS)
    site.keep(response, site.browser_cookie, held, YEAR_SECONDS)
    drop_pending(request, response)


def drop_pending(request: web.Request, response: web.Response) -> None:
    """Let the browser forget a login half made."""
    site = site_of(request)
    if site.pending_cookie in request.cookies:
        response.del_cookie(
            site.pending_cookie, path="/", secure=site.is_secure, httponly=True, samesite="Lax"
        )


async def tell(
    request: web.Request,
    portal: Portal,
    owner: Owner,
    kind: LetterKind,
    change: str = "",
    noted: str = "",
) -> None:
    """Write down what happened to an account, and send its owner a letter (ASVS 6.3.5, 6.3.7).

    `change` says what happened, in the visitor's words; `noted` is how the account's own list calls
    it, where that is not the letter's kind. Agents get no letter: nobody proved that
    their name is an address.
    """
    if owner.account_id is None:
        return
    now, facts = site_of(request).clock.now(), facts_of(request)
    await portal.note(owner.account_id, noted or kind, facts, now)
    account = await portal.account(owner.account_id)
    if account is None or account.email is None or account.verified_at is None:
        return
    details = {
        "moment": moment_in(account.language, now),
        "device": facts.browser,
        "place": facts.subscriber,
        "change": change,
    }
    await portal.publish(
        LetterDue(
            letter_id=uuid4(),
            kind=kind,
            email=account.email,
            language=account.language,
            details={name: value for name, value in details.items() if value},
            due_at=now,
        )
    )
