"""Quittances and attestations as PDF: tagged (PDF/UA-1) and fit for archives (PDF/A-2b)."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from pathlib import Path
from typing import Literal

import msgspec
import typst
from babel.dates import format_date

from reconciliation.domain.receipts import Receipt, ReceiptPart
from reconciliation.domain.words import sum_in_words
from shared.clock import paris_date
from shared.logs import get_logger
from shared.money import format_euros

logger = get_logger(__name__)

TEMPLATES = Path(__file__).parents[1] / "templates"
HIDDEN = "•••"
STANDARDS: tuple[Literal["ua-1", "a-2b"], ...] = ("ua-1", "a-2b")
MEANS = {
    "card": "carte bancaire",
    "payfip": "PayFiP",
    "cash": "espèces",
    "cheque": "chèque",
    "transfer": "virement",
    "direct_debit": "prélèvement",
    "cesu": "CESU",
}


class TypstPrinter:
    """Sets documents in one thread of its own: a page takes some ten milliseconds."""

    def __init__(self) -> None:
        """Keep the compilers, which hold the fonts."""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="typst")
        self._compilers: dict[str, typst.Compiler] = {}

    def close(self) -> None:
        """End the thread once it has done its work."""
        self._thread.shutdown()

    async def receipt(self, receipt: Receipt, *, is_extract: bool, is_named: bool) -> bytes:
        """Return a quittance."""
        view = _heading(receipt, receipt.issued_at) | {
            "title": f"Quittance n° {receipt.reference}",
            "number": receipt.reference,
            "payer": ", ".join(_payers([receipt])) if is_named else "",
            "total": format_euros(receipt.amount_cents),
            "words": sum_in_words(receipt.amount_cents),
            "means": MEANS.get(receipt.means, receipt.means),
            "paid_on": french_date(paris_date(receipt.paid_at)),
            "reference": receipt.provider_reference,
            "is_extract": is_extract,
            "returned": format_euros(receipt.returned_cents) if receipt.returned_cents else "",
            "is_void": receipt.returned_cents >= receipt.amount_cents,
            "parts": [_line(part, is_named=is_named) for part in receipt.parts],
        }
        return await self._set("receipt.typ", view)

    async def statement(self, receipts: Sequence[Receipt], year: int, at: datetime) -> bytes:
        """Return an attestation of what was paid to one authority in a year."""
        kept = [
            (receipt, part, part.amount_cents - part.returned_cents)
            for receipt in receipts
            for part in receipt.parts
        ]
        total = max(0, sum(cents for _, _, cents in kept))
        regies = dict.fromkeys(receipt.regie_label for receipt in receipts)
        view = _heading(receipts[0], at) | {
            "regie": ", ".join(regies),
            "title": f"Attestation de paiement {year}",
            "year": str(year),
            "payer": ", ".join(_payers(receipts)),
            "total": format_euros(total),
            "words": sum_in_words(total),
            "parts": [
                {
                    "day": french_date(paris_date(receipt.paid_at)),
                    "number": part.invoice_number,
                    "subject": part.subject,
                    "receipt": receipt.reference,
                    "means": MEANS.get(receipt.means, receipt.means),
                    "amount": format_euros(cents),
                    "note": _note(part),
                }
                for receipt, part, cents in kept
            ],
        }
        return await self._set("statement.typ", view)

    async def _set(self, template: str, view: dict[str, object]) -> bytes:
        inputs = {"view": msgspec.json.encode(view).decode()}
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._compile, template, inputs)

    def _compile(self, template: str, inputs: dict[str, str]) -> bytes:
        compiler = self._compilers.get(template)
        if compiler is None:
            compiler = typst.Compiler(
                TEMPLATES / template, root=TEMPLATES, ignore_system_fonts=True, font_paths=[]
            )
            self._compilers[template] = compiler
        # Data is passed as data, never as source.
        try:
            document = compiler.compile(
                format="pdf", sys_inputs=inputs, pdf_standards=list(STANDARDS)
            )
        except typst.TypstError:
            # A name or a subject has a sign that no font here has, which neither standard allows.
            # A box in its place is better than no proof of payment.
            # Not with the library's words: they quote the sign, which may stand in a name.
            logger.warning("set outside the standards", template=template)
            document = compiler.compile(format="pdf", sys_inputs=inputs)
        if not isinstance(document, bytes):
            message = f"{template} is not one document"
            raise TypeError(message)
        return document


def french_date(day: date) -> str:
    """Return `1er mars 2026`."""
    text = format_date(day, "d MMMM y", locale="fr_FR")
    return f"1er {text[2:]}" if day.day == 1 else text


def _heading(receipt: Receipt, at: datetime) -> dict[str, object]:
    issued = paris_date(at)
    return {
        "authority": receipt.authority_name,
        "regie": receipt.regie_label,
        "issued_on": french_date(issued),
        # The document's own date too: set again, it has the same bytes.
        "issued": [issued.year, issued.month, issued.day],
    }


def _payers(receipts: Sequence[Receipt]) -> list[str]:
    """Return who owed, each once: who paid on their behalf is not the régie's to know."""
    names = (part.payer_name for receipt in receipts for part in receipt.parts)
    return [name for name in dict.fromkeys(names) if name]


def _line(part: ReceiptPart, *, is_named: bool) -> dict[str, str]:
    return {
        "number": part.invoice_number if is_named else HIDDEN,
        "subject": part.subject,
        "amount": format_euros(part.amount_cents),
        "note": _note(part),
    }


def _note(part: ReceiptPart) -> str:
    if not part.returned_cents:
        return ""
    if part.returned_cents >= part.amount_cents:
        return "annulé : somme rendue"
    return f"dont {format_euros(part.returned_cents)} rendus"
