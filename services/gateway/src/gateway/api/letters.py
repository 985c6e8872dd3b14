"""Letters about an account: told as events, so that they leave if, and only if, the change holds.

No page sends mail: what a letter says and how it leaves is notification's (docs/adr).
"""

import secrets
from datetime import timedelta
from uuid import UUID, uuid4

from aiohttp import web

from gateway.api.forgery import nonce_of
from gateway.api.site import site_of
from gateway.ports import Account, Portal, Proof, ProofPurpose
from gateway.store import digest
from shared.events import LetterDue
from shared.events.letter_due import LetterKind

LIVES: dict[ProofPurpose, timedelta] = {
    "open": timedelta(hours=24),
    "change": timedelta(hours=24),
    "reset": timedelta(minutes=30),
    "undo": timedelta(days=7),
}
"""How long a secret is good: the more it opens, the shorter (ASVS 6.4.2, 6.6.2)."""
ACCOUNT_EXISTS_EVERY = timedelta(hours=1)
"""Whoever types another's address over and over does not fill their mailbox."""
PATHS: dict[ProofPurpose, str] = {
    "open": "/compte/confirmer/",
    "change": "/compte/confirmer/",
    "reset": "/connexion/oubli/",
    "undo": "/compte/adresse/retablir/",
}
KINDS: dict[ProofPurpose, LetterKind] = {
    "open": "confirm-address",
    "change": "confirm-address",
    "reset": "reset-password",
    "undo": "address-changed",
}


def letter(
    request: web.Request,
    kind: LetterKind,
    email: str,
    language: str,
    *,
    path: str | None = None,
    lasts: timedelta | None = None,
    details: dict[str, str] | None = None,
) -> LetterDue:
    """Return a letter that is due now; `path` is a page of ours, good for `lasts`."""
    site = site_of(request)
    now = site.clock.now()
    return LetterDue(
        letter_id=uuid4(),
        kind=kind,
        email=email,
        language=language,
        link=f"{site.public_url}{path}" if path else None,
        expires_at=now + lasts if lasts else None,
        details=details or {},
        due_at=now,
    )


async def add_link(
    request: web.Request,
    portal: Portal,
    purpose: ProofPurpose,
    account: Account,
    email: str,
    *,
    password_hash: str | None = None,
) -> str:
    """Return a secret that proves that who brings it reads `email`, of which a digest is kept."""
    secret = secrets.token_urlsafe(32)
    now = site_of(request).clock.now()
    is_own = _is_asked_by_holder(purpose, account, password_hash)
    proof = Proof(
        purpose=purpose,
        account_id=account.account_id if is_own else None,
        email=email,
        password_hash=password_hash,
        browser_sha256=browser_digest(request),
        expires_at=now + LIVES[purpose],
    )
    await portal.add_proof(secret, proof, now)
    return secret


def _is_asked_by_holder(purpose: ProofPurpose, account: Account, password_hash: str | None) -> bool:
    """Tell whether a letter ends with its account, and with what the account's holder does.

    An account that only claims an address may be a stranger's, and the letter its owner's, unless
    it takes being in that account or carries its password.
    """
    if account.verified_at is not None or purpose not in {"open", "reset"}:
        return True
    return purpose == "open" and password_hash == account.password_hash


async def send_link(
    request: web.Request,
    portal: Portal,
    purpose: ProofPurpose,
    account: Account,
    email: str,
    *,
    password_hash: str | None = None,
    details: dict[str, str] | None = None,
) -> None:
    """Send a letter with a secret that proves that its reader reads `email`.

    The secret is 256 random bits and is kept as a digest: it exists in the letter alone.
    """
    secret = await add_link(request, portal, purpose, account, email, password_hash=password_hash)
    await portal.publish(
        letter(
            request,
            KINDS[purpose],
            email,
            account.language,
            path=f"{PATHS[purpose]}{secret}",
            lasts=LIVES[purpose],
            details=details,
        )
    )


async def tell_account_exists(
    request: web.Request, portal: Portal, email: str, language: str
) -> None:
    """Tell the owner of an address that somebody wanted it for an account: once an hour."""
    now = site_of(request).clock.now()
    if await portal.is_first_within(f"account-exists {email}", ACCOUNT_EXISTS_EVERY, now):
        found = letter(request, "account-exists", email, language, path="/connexion")
        await portal.publish(found)


def browser_digest(request: web.Request) -> bytes | None:
    """Return what stands for this browser: the digest of the nonce of its forms."""
    nonce = nonce_of(request)
    return digest(nonce) if nonce else None


async def tell_contact(request: web.Request, portal: Portal, account_id: UUID) -> None:
    """Tell notification the account's proved address and wishes, if there is a proved address."""
    contact = await portal.contact(account_id, site_of(request).clock.now())
    if contact is not None:
        await portal.publish(contact)
