"""The sample invoices, and what their XML says, read apart from what the services read."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pikepdf
from lxml import etree

SAMPLES = Path(__file__).resolve().parent / "samples" / "facturx"
REGIES = ("CANTINE", "MUSIQUE", "LOYERS", "PISCINE")


@dataclass(frozen=True)
class Sample:
    """One sample file and the facts of its XML."""

    path: Path
    number: str
    type_code: str
    due_cents: int

    @property
    def is_credit_note(self) -> bool:
        """UNTDID 1001 code 381: money goes the other way."""
        return self.type_code == "381"


def read_all(folder: Path = SAMPLES) -> list[Sample]:
    """Return the samples of a folder, sorted by name."""
    return [_read(path) for path in sorted(folder.glob("*.pdf"))]


def _read(path: Path) -> Sample:
    with pikepdf.open(path) as pdf:
        [content] = [
            attachment.get_file().read_bytes()
            for name, attachment in pdf.attachments.items()
            if name.lower().endswith(".xml")
        ]
    tree = etree.fromstring(content, etree.XMLParser(resolve_entities=False, no_network=True))

    def text(name: str) -> str:
        found = tree.xpath(f"string(//*[local-name()='{name}'])")
        return str(found).strip()

    number = str(tree.xpath("string(//*[local-name()='ExchangedDocument']/*[local-name()='ID'])"))
    return Sample(
        path=path,
        number=number,
        type_code=text("TypeCode"),
        due_cents=int(Decimal(text("DuePayableAmount")) * 100),
    )


def spread(samples: list[Sample]) -> list[tuple[Sample, str]]:
    """Give each sample a régie so that no number comes twice in one."""
    taken: set[tuple[str, str]] = set()
    spread_out = []
    for sample in samples:
        regie = next(code for code in REGIES if (code, sample.number) not in taken)
        taken.add((regie, sample.number))
        spread_out.append((sample, regie))
    return spread_out
