"""The two authorities of the demo, their people and their secrets, made anew at each start."""

import secrets
from pathlib import Path
from typing import Any

import pyotp
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

WORDS = ("tilleul", "marche", "fontaine", "ecole", "mairie", "jardin", "riviere", "clocher")


class Secrets:
    """Passwords and keys of one run: nothing in the demo has a password known beforehand."""

    def __init__(self) -> None:
        """Draw them."""
        self.signing_key = (
            ec.generate_private_key(ec.SECP256R1())
            .private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            .decode()
        )
        self.vapid_key = (
            ec.generate_private_key(ec.SECP256R1())
            .private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            .decode()
        )
        self.webhook_key = Fernet.generate_key().decode()
        self.database_password = secrets.token_urlsafe(18)
        self.biller_secret = secrets.token_urlsafe(32)
        self.neighbour_secret = secrets.token_urlsafe(32)
        self.citizen_password = _passphrase()
        self.agent_password = _passphrase()
        self.agent_totp_secret = pyotp.random_base32()
        self.france_connect_secret = secrets.token_hex(32)
        self.card_keys = {site: str(secrets.randbelow(9 * 10**15) + 10**15) for site in SITES}


SITES = {"12345678": "saint-aubin", "87654321": "val-de-brume"}
"""Card provider's shop of each authority."""

SCOPES = ["deposits:write", "deposits:read", "collections:read", "webhooks:write"]
AUTHORITY = "saint-aubin"
REGIE = "CANTINE"
TREASURY_REGIE = "EAU"
CITIZEN = "camille.martin@example.org"
AGENT = "regisseur@saint-aubin.example"
PART_FLOOR_CENTS = 500
"""The least that may be paid of an invoice of Saint-Aubin; the neighbour takes no part."""
FRANCE_CONNECT_CLIENT = "portail-quittance"
"""The portal as FranceConnect knows it."""
PAYFIP_CLIENT = "090909"
"""PayFiP's number of the treasury régie."""
PAYFIP_LABELS = ("Trésorerie de Saint-Aubin", "Ville de Saint-Aubin", "Eau potable")


LOGOS = Path(__file__).parent / "logos"
TOWN_HALL = {
    "phone": "02 61 91 00 00",
    "email": "regie@saint-aubin.example",
    "address": "Hôtel de ville\n1 place de la Fontaine\n35000 Saint-Aubin",
    "hours": "Du lundi au vendredi, 9 h à 12 h et 13 h 30 à 17 h\nLe samedi, 9 h à 12 h",
    "url": "https://www.saint-aubin.example/regie",
}
CANTEEN_MEANS = {
    "counter": "En espèces, par carte ou par chèque à la régie, hôtel de ville, rez-de-chaussée.",
    "cheque": "À l’ordre de « Régie Restauration scolaire », à envoyer à l’hôtel de ville avec le"
    " talon de la facture.",
    # The example of ISO 13616 for France; it leads to nobody.
    "iban": "FR14 2004 1010 0505 0001 3M02 606",
    "bic": "PSSTFRPPXXX",
}


def _passphrase() -> str:
    words = "-".join(secrets.choice(WORDS) for _ in range(3))
    return f"{words}-{secrets.randbelow(9000) + 1000}"


def town(drawn: Secrets) -> dict[str, Any]:
    """Return what `python -m gateway.load` reads: authorities, billers, agents, citizens."""
    return {
        "authorities": [_saint_aubin(), _val_de_brume()],
        "billers": [
            {
                "client_id": "facturation-saint-aubin",
                "kafka": True,
                "client_secret": drawn.biller_secret,
                "authority": AUTHORITY,
                "regies": [REGIE, "MUSIQUE", "LOYERS", "PISCINE", TREASURY_REGIE],
                "scopes": SCOPES,
            },
            {
                "client_id": "facturation-val-de-brume",
                "kafka": True,
                "client_secret": drawn.neighbour_secret,
                "authority": "val-de-brume",
                "regies": ["CRECHE", "TRANSPORT"],
                "scopes": SCOPES,
            },
        ],
        "agents": [_agent(drawn)],
        "citizens": [
            {"email": CITIZEN, "password": drawn.citizen_password, "verified": True},
        ],
    }


def _saint_aubin() -> dict[str, Any]:
    return {
        "authority": AUTHORITY,
        "name": "Ville de Saint-Aubin",
        "appearance": {
            "accent": "#24488f",
            "logo": (LOGOS / "saint-aubin.svg").read_text(encoding="utf-8"),
            "contact": TOWN_HALL,
            "legal": {
                "publication_director": "La maire de Saint-Aubin",
                "host": "Syndicat numérique du Val\n3 rue des Peupliers\n35000 Saint-Aubin",
                "data_protection_email": "dpo@saint-aubin.example",
            },
        },
        "regies": [
            {
                "code": REGIE,
                "label": "Restauration scolaire",
                "route": "regie",
                "other_means": CANTEEN_MEANS,
            },
            {"code": "MUSIQUE", "label": "École de musique", "route": "regie"},
            {"code": "LOYERS", "label": "Loyers communaux", "route": "regie"},
            {
                "code": "PISCINE",
                "label": "Piscine municipale",
                "route": "regie",
                "stamp_place": {"page": 1, "x_mm": 160, "y_mm": 12, "size_mm": 28},
            },
            {"code": TREASURY_REGIE, "label": "Eau potable", "route": "treasury"},
        ],
    }


def _val_de_brume() -> dict[str, Any]:
    return {
        "authority": "val-de-brume",
        "name": "Communauté de communes du Val de Brume",
        "appearance": {
            "accent": "#2c6a45",
            "logo": (LOGOS / "val-de-brume.svg").read_text(encoding="utf-8"),
            "contact": {
                "phone": "02 61 91 11 11",
                "email": "facturation@val-de-brume.example",
                "hours": "Du lundi au jeudi, 9 h à 16 h 30",
            },
        },
        "regies": [
            {"code": "CRECHE", "label": "Multi-accueil", "route": "regie"},
            {"code": "TRANSPORT", "label": "Transport scolaire", "route": "regie"},
        ],
    }


def _agent(drawn: Secrets) -> dict[str, str]:
    return {
        "login": AGENT,
        "password": drawn.agent_password,
        # The demo tells it: an agent needs a second factor, and nobody should lose time on it.
        "totp_secret": drawn.agent_totp_secret,
        "authority": AUTHORITY,
    }


def provider_accounts(drawn: Secrets, card_url: str, payfip_url: str) -> list[dict[str, Any]]:
    """Return the payment service's provider accounts file."""
    cards = [
        {
            "account": f"{authority}-carte",
            "authority": authority,
            "regies": None,
            "provider": "lyra",
            "site_id": site,
            "key": drawn.card_keys[site],
            "ctx_mode": "TEST",
            "service_url": f"{card_url}/vads-payment/",
            "partial": {"allowed": authority == AUTHORITY, "minimum_cents": PART_FLOOR_CENTS},
        }
        for site, authority in SITES.items()
    ]
    treasury = {
        "account": f"{AUTHORITY}-tresor",
        "authority": AUTHORITY,
        "regies": [TREASURY_REGIE],
        "route": "treasury",
        "provider": "payfip",
        "numcli": PAYFIP_CLIENT,
        # The simulator knows every titre at once.
        "days_until_known": 0,
        "saisie": "T",
        "service_url": f"{payfip_url}/tpa/services/securite",
        "page_url": f"{payfip_url}/tpa/paiementws.web",
    }
    return [*cards, treasury]
