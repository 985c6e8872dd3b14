"""What a visitor of the demo finds: some invoices, and where to click."""

import asyncio
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import aiohttp
import pyotp

from demo import samples
from demo.biller import Biller
from demo.configuration import TREASURY_REGIE
from demo.processes import memory_bytes
from demo.town import Town

Progress = Callable[[str], None]
MEBIBYTE = 1024 * 1024

_INVOICES = (
    ("CANTINE", "Restauration scolaire, octobre", "Repas enfant", 14, 385, 25),
    ("MUSIQUE", "Cours de violon, 1er trimestre", "Cours individuel", 10, 1850, 12),
    ("PISCINE", "Carnets d’entrées", "Carnet de 10 entrées", 2, 2990, 40),
    ("LOYERS", "Loyer du garage n° 7, novembre", "Loyer mensuel", 1, 6200, -20),
    ("CANTINE", "Restauration scolaire, septembre", "Repas enfant", 16, 385, 5),
    ("CANTINE", "Accueil du matin, octobre", "Heure d’accueil", 9, 240, 25),
    (TREASURY_REGIE, "Eau potable, 2e semestre", "Mètre cube", 42, 217, 30),
)


async def fill(endpoints: dict[str, Any], progress: Progress) -> None:
    """Deposit the samples and some invoices for the citizen; return once all are public."""
    async with aiohttp.ClientSession() as session:
        biller = Biller(endpoints, session)
        await biller.log_in()
        expected: list[str] = []
        files = samples.spread(samples.read_all())
        for number, (sample, regie) in enumerate(files, start=1):
            receipt = await biller.deposit_facturx(sample.path.read_bytes(), regie)
            expected += await _ids(biller, receipt)
            progress(f"sample invoices            {number}/{len(files)}")
        receipt = await biller.deposit_json(_for_citizen(endpoints["citizen"]["email"]))
        expected += await _ids(biller, receipt)
        await asyncio.gather(*(biller.wait_published(invoice) for invoice in expected))
        progress(f"published                  {len(expected)}/{len(expected)}")


async def _ids(biller: Biller, receipt: dict[str, Any]) -> list[str]:
    return [
        line["invoice_id"]
        for line in await biller.lines(receipt["deposit_id"])
        if line["status"] == "created"
    ]


def _for_citizen(email: str) -> list[dict[str, Any]]:
    today = date.today()  # noqa: DTZ011 - the biller's own calendar
    return [
        {
            "regie": regie,
            "number": f"{today.year}-{position:05d}",
            "issued_on": (today - timedelta(days=30)).isoformat(),
            "due_on": (today + timedelta(days=days)).isoformat(),
            "amount_cents": quantity * unit_cents,
            "currency": "EUR",
            "subject": subject,
            **_route(regie, today.year, position),
            "payer": {
                "reference": "FAM-0042",
                "name": "Camille Martin",
                "email": email,
                "address": ["12 rue du Tilleul", "35140 Saint-Aubin"],
                # The first person whom the simulator of FranceConnect lets one be.
                "identity": {
                    "family_name": "MARTIN",
                    "given_names": ["Camille", "Louise", "Marie"],
                    "birthdate": "1984-05-17",
                    "gender": "female",
                    "birthplace": "75107",
                    "birthcountry": "99100",
                },
            },
            "lines": [
                {
                    "label": label,
                    "quantity": str(quantity),
                    "unit_amount_cents": unit_cents,
                    "amount_cents": quantity * unit_cents,
                }
            ],
        }
        for position, (regie, subject, label, quantity, unit_cents, days) in enumerate(
            _INVOICES, start=1
        )
    ]


def _route(regie: str, year: int, position: int) -> dict[str, Any]:
    if regie != TREASURY_REGIE:
        return {"route": "regie"}
    return {
        "route": "treasury",
        "fiscal_year": year,
        "debt_reference": f"{year}{position:08d}",
    }


def where_to_click(endpoints: dict[str, Any]) -> list[str]:
    """Return what to tell the visitor."""
    citizen, agent = endpoints["citizen"], endpoints["agent"]
    return [
        "",
        f"  Citizens' portal   {endpoints['portal']}",
        f"                     {citizen['email']}   {citizen['password']}",
        f"  Régie's agents     {endpoints['portal']}/regie",
        f"                     {agent['login']}   {agent['password']}",
        f"                     secret of the code application: {agent['totp_secret']}",
        f"                     one code of it, good for a minute: {one_code(agent)}",
        f"  Mailbox            {endpoints['mailbox']}",
        f"  Pushes             {endpoints['push']}   (a browser's own go to its vendor)",
        "  Card to pay with   4970 1000 0000 0055, any date to come, any three digits",
        f"  PayFiP             {endpoints['payfip']}",
        f"  FranceConnect      {endpoints['franceconnect']}, made-up persons to be",
        f"  Deposits (API)     {endpoints['deposits']}/docs",
        "  Everything else    .demo/endpoints.json, logs in .demo/logs",
        "",
    ]


def one_code(agent: dict[str, Any]) -> str:
    """Return the code that an agent's application shows just now."""
    return pyotp.TOTP(agent["totp_secret"]).now()


def memory_table(town: Town) -> list[str]:
    """Return one line for each process with its memory."""
    sizes = {name: memory_bytes(process.pid) for name, process in town.processes.items()}
    lines = [f"memory {name:<20} {size / MEBIBYTE:6.0f} MiB" for name, size in sizes.items()]
    return [*lines, f"memory {'all processes':<20} {sum(sizes.values()) / MEBIBYTE:6.0f} MiB"]
