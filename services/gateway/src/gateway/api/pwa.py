"""The portal as an application on a telephone: manifest, worker, what is shown offline.

Answers are `no-store` for every HTTP cache. The worker's own cache is the one exception, made on
purpose: who reads an invoice on their telephone must be able to show it where there is no network.
It keeps the last list and the last ten invoices that were read on this device, for seven days, and
loses them at a logout and when another account comes.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import msgspec
from aiohttp import web

from gateway.api.assets import ASSET, FOLDER
from gateway.api.language import LANGUAGES, translations
from gateway.api.site import site_of
from gateway.api.templates import FOLDER as TEMPLATES_FOLDER
from gateway.api.web import content_policy, page, protective_headers, render
from shared.http import Operation

OFFLINE_PATH = "/hors-connexion"
WORKER_FILE = "service-worker.js"
BRAND, GROUND = "#0a5763", "#f6f5f0"
"""Colours of style.css: the brand's, and that of the page."""
ICONS = (("icon-192", 192, "any"), ("icon-512", 512, "any"), ("maskable-512", 512, "maskable"))
SHELL = frozenset({".css", ".js", ".svg", ".png"})


class AppFiles:
    """What a browser reads to install the portal and to show it offline."""

    def __init__(self) -> None:
        """Serve one worker for as long as the process lives."""
        self._worker = b""

    async def get_manifest(self, request: web.Request) -> web.Response:
        """Return what the application is called and looks like (Web Application Manifest)."""
        body = msgspec.json.encode(_manifest(request.app[ASSET]))
        return _program(request, body, "application/manifest+json")

    async def get_worker(self, request: web.Request) -> web.Response:
        """Return the worker, headed by what it needs to know of this version of the portal.

        It differs whenever a file or a page does: browsers then install it beside the old one,
        and change over once no page of the old one is open.
        """
        self._worker = self._worker or _worker(request.app[ASSET])
        return _program(request, self._worker, "text/javascript")

    async def get_offline(self, request: web.Request) -> web.Response:
        """Say that there is no network; the worker adds what is kept on the device."""
        return render(request, "offline.html")

    def operations(self) -> list[Operation]:
        """Return what is served."""
        return [
            Operation(
                method="GET",
                path="/manifest.webmanifest",
                handler=self.get_manifest,
                summary="What an installed portal is called and looks like.",
                responses={200: "application/manifest+json"},
                tags=("portal",),
            ),
            Operation(
                method="GET",
                path=f"/{WORKER_FILE}",
                handler=self.get_worker,
                summary="The service worker.",
                responses={200: "text/javascript"},
                tags=("portal",),
            ),
            page("GET", OFFLINE_PATH, self.get_offline, "What is shown without a network."),
        ]


def _program(request: web.Request, body: bytes, content_type: str) -> web.Response:
    """Return a file that a browser asks for by itself, and asks again each time."""
    site = site_of(request)
    answer = web.Response(body=body, content_type=content_type, charset="utf-8")
    answer.headers["Cache-Control"] = "no-cache"
    answer.headers["Content-Security-Policy"] = content_policy(site)
    answer.headers.update(protective_headers(site))
    answer.enable_compression()
    return answer


def _manifest(asset: Callable[[str], str]) -> dict[str, Any]:
    icons = [
        {
            "src": asset(f"icons/{name}.png"),
            "sizes": f"{side}x{side}",
            "type": "image/png",
            "purpose": purpose,
        }
        for name, side, purpose in ICONS
    ]
    return {
        "id": "/",
        "name": "Quittance, les factures de vos services publics",
        "short_name": "Quittance",
        "description": "Lire et payer les factures de votre commune et de votre intercommunalité.",
        "lang": "fr",
        "dir": "ltr",
        "start_url": "/factures?source=app",
        "scope": "/",
        "display": "standalone",
        "theme_color": BRAND,
        "background_color": GROUND,
        "categories": ["finance", "government"],
        "icons": icons,
        "shortcuts": [
            {"name": "Scanner une facture", "short_name": "Scanner", "url": "/scanner"},
            {"name": "Mes factures", "url": "/factures?source=app"},
        ],
    }


def _worker(asset: Callable[[str], str]) -> bytes:
    source = (FOLDER / WORKER_FILE).read_bytes()
    known: dict[str, Any] = {
        "offline": OFFLINE_PATH,
        "shell": [OFFLINE_PATH, *(asset(name) for name in _shell())],
        "texts": {language: _texts(language) for language in LANGUAGES},
        "icon": asset("icons/icon-192.png"),
        "badge": asset("icons/badge-96.png"),
        "notices": asset("worker-notices.js"),
    }
    # The page that is shown offline is made of these.
    pages = [path.read_bytes() for path in sorted(TEMPLATES_FOLDER.glob("*.html"))]
    told = b"".join((msgspec.json.encode(known), source, *pages))
    known["version"] = sha256(told).hexdigest()[:12]
    return b"const APP = " + msgspec.json.encode(known) + b";\n" + source


def _shell() -> list[str]:
    """Return the files of every page: not what only the scanner loads, nor the worker itself."""
    names = [
        path.relative_to(FOLDER).as_posix()
        for path in sorted(FOLDER.rglob("*"))
        if path.suffix in SHELL and path.name != WORKER_FILE
    ]
    return [name for name in names if not name.startswith("vendor/")]


def _texts(language: str) -> dict[str, str | list[str]]:
    """Return what the worker says by itself: over offline copies, and in notifications.

    A notification is read over somebody's shoulder: no name, no amount, no authority.
    """
    gettext = translations(language).gettext
    return {
        "stale": gettext(
            "Vous êtes hors connexion. Montants tels qu’ils étaient le %(when)s : ils ont pu"
            " changer."
        ),
        "document": gettext(
            "Vous êtes hors connexion. Copie de ce document telle qu’elle était le %(when)s."
        ),
        "open": gettext("Ouvrir la copie"),
        "kept": gettext("Gardé sur cet appareil"),
        "invoice": [
            gettext("Nouvelle facture"),
            gettext("Une facture vient d’arriver dans votre compte."),
        ],
        "reminder": [
            gettext("Rappel"),
            gettext("Une facture de votre compte attend son règlement."),
        ],
        "receipt": [
            gettext("Paiement enregistré"),
            gettext("Un paiement vient d’être enregistré dans votre compte."),
        ],
        "test": [
            gettext("Notification d’essai"),
            gettext("Cet appareil reçoit bien vos notifications."),
        ],
        "other": [
            gettext("Du nouveau dans votre compte"),
            gettext("Ouvrez Quittance pour le lire."),
        ],
    }
