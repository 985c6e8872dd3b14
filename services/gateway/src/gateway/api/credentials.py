"""What people choose to be known by: an address and a password, and what is wrong with them."""

import secrets
from collections.abc import Sequence
from uuid import UUID

from aiohttp import web

from gateway.adapters.guessing import Weakness, weakness
from gateway.api.entry import SESSION_SECONDS
from gateway.api.holders import is_fresh
from gateway.api.language import say
from gateway.api.login import LONGEST_PASSWORD, prove
from gateway.api.site import site_of
from gateway.api.typed import EMAIL
from gateway.ports import Account, Owner, PasswordKeeper

SHORTEST_PASSWORD = 12
"""CNIL 2022-100: twelve characters with throttling; no rule on which, no forced change."""
LONGEST_EMAIL = 200
"""What a letter can be addressed to (`letter.due`)."""


def email_problem(request: web.Request, email: str) -> str:
    """Return why no letter can be written to an address, or an empty text.

    ASCII alone: letters that look like others would write to somebody else.
    """
    is_plain = email.isascii() and email.isprintable() and not set(' ,;<>"\\') & set(email)
    is_one = EMAIL.fullmatch(email) is not None and email.count("@") == 1
    domain = email.rpartition("@")[2]
    if is_plain and is_one and len(email) <= LONGEST_EMAIL and domain == domain.strip("."):
        return ""
    return say(
        request, "Écrivez une adresse électronique complète, par exemple camille@example.org."
    )


async def password_problem(request: web.Request, password: str, personal: Sequence[str]) -> str:
    """Return why a password cannot be chosen, or an empty text (ASVS 6.2.1, 6.2.4, 6.2.11).

    `personal` is what says who chooses it: an address, a name.
    """
    if len(password) < SHORTEST_PASSWORD:
        return say(
            request,
            "Le mot de passe compte au moins %(count)d caractères.",
            count=SHORTEST_PASSWORD,
        )
    if len(password) > LONGEST_PASSWORD:
        return say(
            request, "Le mot de passe compte au plus %(count)d caractères.", count=LONGEST_PASSWORD
        )
    if password.lower() in {text.lower() for text in personal}:
        return say(request, "Le mot de passe ne peut pas être votre adresse.")
    found = await weakness(password, personal)
    return _sentence(request, found) if found else ""


def _sentence(request: web.Request, found: Weakness) -> str:
    sentences: dict[Weakness, str] = {
        "common": say(
            request,
            "Ce mot de passe figure parmi les plus courants, que les fraudeurs essaient d’abord."
            " Choisissez plutôt trois ou quatre mots sans rapport.",
        ),
        "repeated": say(
            request,
            "Ce mot de passe répète la même chose : il se devine vite. Choisissez plutôt trois ou"
            " quatre mots sans rapport.",
        ),
        "keyboard": say(
            request,
            "Ce mot de passe suit les touches du clavier : il se devine vite. Choisissez plutôt"
            " trois ou quatre mots sans rapport.",
        ),
        "sequence": say(
            request,
            "Ce mot de passe est une suite, comme 1234 ou abcd : il se devine vite. Choisissez"
            " plutôt trois ou quatre mots sans rapport.",
        ),
        "personal": say(
            request,
            "Ce mot de passe reprend votre adresse, votre nom ou un mot de ce site : il se devine"
            " vite. Choisissez plutôt trois ou quatre mots sans rapport.",
        ),
        "guessable": say(
            request, "Ce mot de passe se devine trop facilement : choisissez-en un autre."
        ),
    }
    return sentences[found]


async def proves_again(
    request: web.Request, passwords: PasswordKeeper, account: Account, password: str
) -> bool:
    """Tell whether who is logged in is still the account's owner (ASVS 7.5.1).

    By the password; who has none must have proved it a moment ago, as `must_prove` asks.

    Raises:
        ProblemError: 429, too many attempts.
        BusyError: too many people try at once.
    """
    if account.password_hash is None:
        return is_fresh(request)
    found = await prove(
        request,
        passwords,
        "password",
        str(account.account_id),
        password,
        lambda portal, name: portal.account(UUID(name)),
    )
    return found is not None


def must_prove(request: web.Request, account: Account) -> bool:
    """Tell whether somebody without a password must first prove again who they are."""
    return account.password_hash is None and not is_fresh(request)


async def renew_session(request: web.Request, response: web.Response, account_id: UUID) -> None:
    """Give this browser's session a new secret, and end every other one (ASVS 7.2.4, 7.4.3)."""
    site = site_of(request)
    earlier, secret = request.cookies.get(site.session_cookie, ""), secrets.token_urlsafe(32)
    async with site.open_portal() as portal:
        await portal.end_other_sessions(Owner(account_id=account_id), earlier)
        await portal.renew_proof(earlier, secret, site.clock.now())
    site.keep(response, site.session_cookie, secret, SESSION_SECONDS)
