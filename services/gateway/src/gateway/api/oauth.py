"""Tokens for billing applications (RFC 6749, 4.4) and the keys to check them (RFC 7517)."""

import base64
import binascii
import hmac
from urllib.parse import unquote_plus

from aiohttp import web

from gateway.adapters.tokens import BILLER_SECONDS, TokenSigner
from gateway.api.web import buckets, require_open, site_of
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
        """Exchange a biller's credentials for an access token."""
        if request.content_type != "application/x-www-form-urlencoded":
            return _refuse("invalid_request", "the body must be a form")
        fields = await request.post()
        if any(len(fields.getall(name)) > 1 for name in fields):
            return _refuse("invalid_request", "a parameter comes twice")
        form = {name: str(value) for name, value in fields.items()}
        grant = form.get("grant_type")
        if grant != "client_credentials":
            slug = "unsupported_grant_type" if grant else "invalid_request"
            return _refuse(slug, "grant_type must be client_credentials")
        credentials = _credentials(request, form)
        if credentials is None:
            return _unknown_client(request)
        client_id, secret = credentials
        names = buckets(request, "token", client_id)
        try:
            await require_open(request, names)
        except ProblemError as error:
            refusal = _refuse("temporarily_unavailable", "too many failures", status=429)
            refusal.headers.update(error.headers)
            return refusal
        site = site_of(request)
        async with site.open_portal() as portal:
            biller = await portal.find_biller(client_id)
            # Secrets are 256 random bits, which no dictionary holds: a plain digest keeps them.
            kept = biller.secret_sha256 if biller else digest("")
            is_right = hmac.compare_digest(kept, digest(secret)) and biller is not None
            if not is_right:
                await portal.fail(names, site.clock.now())
        if biller is None or not is_right:
            return _unknown_client(request)
        asked = set(form.get("scope", "").split())
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
        # RFC 6749, 2.3.1: both halves are form-encoded before they are joined.
        return (unquote_plus(client_id), unquote_plus(secret)) if separator else None
    if form.get("client_id") and form.get("client_secret"):
        return form["client_id"], form["client_secret"]
    return None


def _refuse(slug: str, description: str, *, status: int = 400) -> web.Response:
    return json_response(
        {"error": slug, "error_description": description}, status=status, headers=NO_STORE
    )


def _unknown_client(request: web.Request) -> web.Response:
    refusal = _refuse("invalid_client", "unknown client or wrong secret", status=401)
    if "Authorization" in request.headers:
        refusal.headers["WWW-Authenticate"] = 'Basic realm="quittance"'
    return refusal
