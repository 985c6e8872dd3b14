"""Tokens for billing applications (RFC 6749, 4.4) and the keys to check them (RFC 7517)."""

import base64
import binascii
import hmac
import math
from datetime import timedelta
from urllib.parse import unquote_plus

from aiohttp import web

from gateway.adapters.tokens import BILLER_SECONDS, TokenSigner
from gateway.api.forgery import read_form
from gateway.api.site import site_of
from gateway.api.throttling import by_address
from gateway.store import digest
from shared.auth import Principal
from shared.http import Operation, ProblemError, json_response

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class OAuth:
    """The token endpoint and the key set."""

    def __init__(self, signer: TokenSigner) -> None:
        """Sign with `signer`."""
        self._signer = signer

    async def post_token(self, request: web.Request) -> web.Response:
        """Exchange a biller's credentials for an access token; errors as RFC 6749, 5.2, says."""
        if request.content_type != "application/x-www-form-urlencoded":
            return _refuse("invalid_request", "the body must be a form")
        try:
            fields = await read_form(request)
        except ProblemError:
            return _refuse("invalid_request", "the form cannot be read")
        if fields.repeats:
            return _refuse("invalid_request", "a parameter comes twice")
        form = dict(fields.fields)
        grant = form.get("grant_type")
        if grant != "client_credentials":
            slug = "unsupported_grant_type" if grant else "invalid_request"
            return _refuse(slug, "grant_type must be client_credentials")
        if "Authorization" in request.headers and "client_secret" in form:
            return _refuse("invalid_request", "credentials come in two ways")
        credentials = _credentials(request, form)
        if credentials is None:
            return _unknown_client(request)
        return await self._answer(request, *credentials, form.get("scope", ""))

    async def _answer(
        self, request: web.Request, client_id: str, secret: str, scope: str
    ) -> web.Response:
        # Not by name: a stranger must not be able to keep a town's billing application out.
        buckets = (by_address(request, "token"),)
        site = site_of(request)
        async with site.open_portal() as portal:
            wait = await portal.closed_for(buckets, site.clock.now())
            biller = await portal.find_biller(client_id) if wait is None else None
            # Secrets are drawn from 256 random bits, which no dictionary holds and no machine can
            # try: a plain digest keeps them as well as a slow hash, and answers at once.
            kept = biller.secret_sha256 if biller else digest("")
            is_right = hmac.compare_digest(kept, digest(secret)) and biller is not None
            if wait is None and not is_right:
                await portal.knock(buckets, site.clock.now())
        if wait is not None:
            return _too_many(wait)
        if biller is None or not is_right:
            return _unknown_client(request)
        asked = set(scope.split())
        if not asked <= set(biller.scopes):
            return _refuse("invalid_scope", "a scope was not granted to this client")
        scopes = frozenset(asked or biller.scopes)
        token = self._signer.sign(
            Principal(
                subject=biller.client_id,
                authority=biller.authority,
                regies=biller.regies,
                scopes=scopes,
            ),
            BILLER_SECONDS,
        )
        return json_response(
            {
                "access_token": token,
                "token_type": "Bearer",
                "expires_in": BILLER_SECONDS,
                "scope": " ".join(sorted(scopes)),
            },
            headers=NO_STORE,
        )

    async def get_jwks(self, _request: web.Request) -> web.Response:
        """Return the public keys."""
        return json_response(self._signer.jwks(), headers={"Cache-Control": "max-age=300"})

    def operations(self) -> list[Operation]:
        """Return what is served."""
        return [
            Operation(
                method="POST",
                path="/oauth/token",
                handler=self.post_token,
                summary="Exchange a biller's credentials for an access token.",
            ),
            Operation(
                method="GET",
                path="/.well-known/jwks.json",
                handler=self.get_jwks,
                summary="The public keys of the tokens.",
            ),
        ]


def _credentials(request: web.Request, form: dict[str, str]) -> tuple[str, str] | None:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            text = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None
        client_id, separator, secret = text.partition(":")
        if not separator:
            return None
        # RFC 6749, 2.3.1: both halves are form-encoded before they are joined.
        client_id, secret = unquote_plus(client_id), unquote_plus(secret)
        # PostgreSQL holds no such character, so no client has it in its name.
        return None if "\x00" in client_id else (client_id, secret)
    if form.get("client_id") and form.get("client_secret"):
        return form["client_id"], form["client_secret"]
    return None


def _refuse(slug: str, description: str, *, status: int = 400) -> web.Response:
    return json_response(
        {"error": slug, "error_description": description}, status=status, headers=NO_STORE
    )


def _too_many(wait: timedelta) -> web.Response:
    refusal = _refuse("invalid_client", "too many failures, try later", status=429)
    refusal.headers["Retry-After"] = str(max(1, math.ceil(wait.total_seconds())))
    return refusal


def _unknown_client(request: web.Request) -> web.Response:
    refusal = _refuse("invalid_client", "unknown client or wrong secret", status=401)
    if "Authorization" in request.headers:
        refusal.headers["WWW-Authenticate"] = 'Basic realm="quittance"'
    return refusal
