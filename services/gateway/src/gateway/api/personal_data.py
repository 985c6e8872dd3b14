"""Taking all of one's data away, and leaving (RGPD, articles 15, 17 and 20)."""

import io
import zipfile
from collections.abc import Iterator
from datetime import UTC

import msgspec
from aiohttp import web

from gateway.api.copies import forget_copies
from gateway.api.credentials import must_prove, proves_again
from gateway.api.facts import facts_of
from gateway.api.forgery import read_form
from gateway.api.holders import CITIZENS, ask_again
from gateway.api.language import say
from gateway.api.leaving import end_session
from gateway.api.letters import letter
from gateway.api.profile import own_account
from gateway.api.site import require_citizen, see_other, site_of
from gateway.api.throttling import by_address, by_name, knock
from gateway.api.web import page, protective_headers, render
from gateway.ports import Account, PasswordKeeper, PersonalTable
from shared.http import Operation

FILES = {
    "account": "compte",
    "account_event": "activite",
    "choice": "preferences",
    "delegation": "delegations",
    "factor": "seconds-facteurs",
    "france_connect_journey": "identifications-en-cours",
    "identity": "identite-franceconnect",
    "invoice": "factures",
    "known_browser": "navigateurs",
    "link": "redevables",
    "movement": "paiements",
    "payer_invitation": "invitations-de-collectivites",
    "paperless": "sans-papier",
    "pending_login": "connexions-en-attente",
    "proof": "liens-en-attente",
    "quiet_hours": "heures-de-silence",
    "recovery_code": "codes-de-secours",
    "refusal": "redevables-refuses",
    "session": "sessions",
}
"""Names that a reader understands; another table keeps its own."""


class PersonalData:
    """Pages about the data of the account that is logged in."""

    def __init__(self, passwords: PasswordKeeper) -> None:
        """Check passwords with `passwords`."""
        self._passwords = passwords

    async def get_data(self, request: web.Request) -> web.Response:
        """Say what is kept, and offer to take it or to leave."""
        require_citizen(request)
        return render(request, "account_data.html")

    async def post_export(self, request: web.Request) -> web.StreamResponse:
        """Send all that is kept of the account, made now and sent piece by piece."""
        account = await own_account(request)
        name = str(account.account_id)
        await knock(request, by_name("export", name), by_address(request, "export"))
        site = site_of(request)
        now = site.clock.now()
        async with site.open_portal() as portal:
            await portal.note(account.account_id, "data-exported", facts_of(request), now)
            invoices = await portal.own_invoices(account.account_id)
            ids = [invoice.invoice_id for invoice in invoices if invoice.is_own]
            tables = await portal.personal_data(account.account_id, ids)
        response = web.StreamResponse(headers=protective_headers(site))
        response.content_type = "application/zip"
        day = f"{now.astimezone(UTC):%Y-%m-%d}"
        response.headers["Content-Disposition"] = f'attachment; filename="quittance-{day}.zip"'
        response.headers["Cache-Control"] = "no-store"
        await response.prepare(request)
        for piece in pieces(_read_me(request), tables):
            await response.write(piece)
        await response.write_eof()
        return response

    async def get_deletion(self, request: web.Request) -> web.StreamResponse:
        """Say what is erased and what stays, and ask for the password."""
        account = await own_account(request)
        if must_prove(request, account):
            return ask_again(CITIZENS, request.path)
        return _deletion(request, account, {})

    async def post_deletion(self, request: web.Request) -> web.StreamResponse:
        """Delete the account: by its owner, who said so twice."""
        fields = await read_form(request)
        account = await own_account(request)
        if fields.get("confirmation") != "oui":
            error = say(request, "Cochez la case pour confirmer que le compte doit disparaître.")
            return _deletion(request, account, {"confirmation": error}, 422)
        if must_prove(request, account):
            return ask_again(CITIZENS, request.path)
        if not await proves_again(request, self._passwords, account, fields.get("current")):
            error = say(request, "Ce n’est pas le mot de passe de ce compte.")
            return _deletion(request, account, {"current": error}, 401)
        site = site_of(request)
        # First, since who came through FranceConnect is to leave it as well.
        response = see_other(await end_session(request, "/compte/supprime"))
        async with site.open_portal() as portal:
            await portal.close_account(account.account_id, site.clock.now())
            if account.email is not None and account.verified_at is not None:
                await portal.publish(
                    letter(request, "account-closed", account.email, account.language)
                )
        for name in (site.session_cookie, site.payment_cookie, site.browser_cookie):
            response.del_cookie(name, path="/", secure=site.is_secure, httponly=True)
        forget_copies(response)
        return response

    async def get_deleted(self, request: web.Request) -> web.Response:
        """Say that the account is gone, and what stays."""
        return render(request, "account_deleted.html")

    def operations(self) -> list[Operation]:
        """Return what is served."""
        return [
            page("GET", "/compte/donnees", self.get_data, "What is kept of the account."),
            page("POST", "/compte/donnees/copie", self.post_export, "Take the data away."),
            page("GET", "/compte/supprimer", self.get_deletion, "Delete the account."),
            page("POST", "/compte/supprimer", self.post_deletion, "Delete the account."),
            page("GET", "/compte/supprime", self.get_deleted, "The account is gone."),
        ]


def _deletion(
    request: web.Request, account: Account, errors: dict[str, str], status: int = 200
) -> web.Response:
    return render(
        request,
        "delete_account.html",
        status=status,
        account=account,
        errors=errors,
    )


def _read_me(request: web.Request) -> str:
    return say(
        request,
        "Ce dossier contient tout ce que le portail garde de votre compte : un fichier JSON par"
        " sujet, avec les sommes en centimes et les dates en temps universel. Les empreintes de"
        " mots de passe et de liens n’y sont pas : elles ne servent qu’à vous reconnaître. Les"
        " documents des factures se téléchargent depuis la page de chacune. La comptabilité des"
        " sommes payées appartient à chaque collectivité : demandez-la-lui.",
    )


class _Sink(io.RawIOBase):
    """What a ZIP is written to, emptied after each file: it cannot go back, and needs not."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: object) -> int:
        written = bytes(piece)  # type: ignore[call-overload]
        self._pieces.append(written)
        return len(written)

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


def pieces(read_me: str, tables: list[PersonalTable]) -> Iterator[bytes]:
    """Yield a ZIP piece by piece: a text to read first, then one readable file for each subject."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("LISEZMOI.txt", read_me + "\n")
        yield sink.take()
        for table in tables:
            content = msgspec.json.format(msgspec.json.encode(table.rows), indent=2)
            archive.writestr(f"{FILES.get(table.name, table.name)}.json", content)
            yield sink.take()
    yield sink.take()
