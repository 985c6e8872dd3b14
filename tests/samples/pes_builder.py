"""Makes PES and ROLMRE files of invented persons, small for a test or large for a bench."""

import base64
import gzip
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import BinaryIO
from xml.sax.saxutils import quoteattr

ROOT = (
    "n:PES_Aller xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'"
    " xmlns:reca='http://www.minefi.gouv.fr/cp/helios/pes_v2/recette/r0/aller'"
    " xmlns:n='http://www.minefi.gouv.fr/cp/helios/pes_v2/Rev0/aller'"
    " xmlns:cm='http://www.minefi.gouv.fr/cp/helios/pes_v2/commun'"
)
KEY_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXY"
SURNAMES = ("MARTIN", "LE GOFF-KERBRAT", "NUÑEZ", "D’HÔTEL", "ŒUVRARD", "BÉRANGER")
NAMES = ("ZOÉ", "MAËLLE", "LOÏC", "FRANÇOIS", "INÈS")
STREETS = ("RUE DE L’ÉGLISE", "QUAI DE SAÔNE", "ALLÉE DES CHÊNES", "CHEMIN VERT")


def first_key(number: str) -> str:
    """Return Cle1 as Noethysweb computes it, by its description."""
    total = sum(
        (int(digit) if digit.isdigit() else 0) * (2 + rank % 6)
        for rank, digit in enumerate(reversed(number))
    )
    key = 11 - total % 11
    return str(1 if key > 9 else key)


def second_key(year: str, period: str, debt: str) -> str:
    """Return Cle2 as Noethysweb computes it, by its description."""
    return KEY_LETTERS[int(f"{year[-2:]}{period}00{debt.zfill(13)}") % 23]


def element(name: str, values: Mapping[str, str | None], inner: str = "") -> str:
    """Return an element whose children have the values; None leaves one out."""
    children = "".join(
        f"<{child} V={quoteattr(value)}/>\n" for child, value in values.items() if value is not None
    )
    return f"<{name}>\n{children}{inner}</{name}>\n"


def a_tiers(where: Mapping[str, str | None] | None = None, **values: str | None) -> str:
    """Return a `Tiers`; keywords replace values of InfoTiers, `where` those of the address."""
    person: dict[str, str | None] = {
        "RefTiers": "F-17",
        "CatTiers": "01",
        "NatJur": "01",
        "TypTiers": "01",
        "Civilite": "MME",
        "Nom": "DUPONT",
        "Prenom": "ELOISE",
    }
    place: dict[str, str | None] = {
        "TypAdr": "1",
        "Adr2": "12 RUE DE L'EGLISE",
        "CP": "76000",
        "Ville": "ROUEN",
        "CodRes": "0",
    }
    return element(
        "Tiers",
        {},
        element("InfoTiers", person | values) + element("Adresse", place | dict(where or {})),
    )


def a_line(
    amount: str | None = "12.50",
    *,
    tiers: str | None = None,
    debited_on: str | None = None,
    **values: str | None,
) -> str:
    """Return a `LigneDePiece`; keywords replace the values of InfoLignePiece."""
    info: dict[str, str | None] = {
        "IdLigne": "1",
        "ObjLignePce": "REPAS DE MARS",
        "CodProdLoc": "RS01",
        "Nature": "588",
        "Majo": "0",
        "TvaIntraCom": "0",
        "MtHT": amount,
    }
    debit = ""
    if debited_on is not None:
        debit = element(
            "InfoPrelevementSEPA",
            {
                "NatPrel": "01",
                "PerPrel": "07",
                "DtePrel": debited_on,
                "MtPrel": amount,
                "SequencePres": "03",
                "DateSignMandat": "2022-01-09",
                "RefUniMdt": "RUM-00002-7084",
                "LibPrel": "MAIRIE",
            },
        )
    block = element("BlocLignePiece", {}, element("InfoLignePiece", info | values) + debit)
    return element("LigneDePiece", {}, block + (a_tiers() if tiers is None else tiers))


def a_piece(
    debt: str | None = "4711",
    *,
    lines: Sequence[str] | None = None,
    attachments: Iterable[str] = (),
    year: str = "2026",
    bordereau: str = "0000042",
    month: str = "9",
    **values: str | None,
) -> str:
    """Return an ORMC piece with its keys; keywords replace the values of BlocPiece."""
    block: dict[str, str | None] = {
        "IdPce": "1000",
        "TypPce": "15",
        "NatPce": "01",
        "ObjPce": "FACTURE DE MARS 2026",
        "NumDette": debt,
        "Per": month[:1],
        "Cle1": None,
        "Cle2": None,
        "NumeroFacture": debt,
    }
    if debt is not None and debt.isdecimal():
        block["Cle1"] = first_key(f"123{bordereau}{year[-2:]}{month}{debt.zfill(13)}")
        block["Cle2"] = second_key(year, month, debt)
    references = "".join(
        element("PJRef", {"Support": "01", "IdUnique": name, "NomPJ": f"{name}.pdf"})
        for name in attachments
    )
    found = element("BlocPiece", block | values, references)
    return element("Piece", {}, found + "".join([a_line()] if lines is None else lines))


def a_bordereau(
    pieces: Sequence[str] | None = None, amount: str = "12.50", **values: str | None
) -> str:
    """Return a bordereau; keywords replace the values of its head."""
    pieces = [a_piece()] if pieces is None else pieces
    head: dict[str, str | None] = {
        "Exer": "2026",
        "IdBord": "0000042",
        "DteBordEm": "2026-03-05",
        "TypBord": "06",
        "NbrPce": str(len(pieces)),
        "MtBordHt": amount,
        "DteAsp": "2026-03-06",
        "Objet": "RESTAURATION SCOLAIRE MARS 2026",
    }
    return element("Bordereau", {}, element("BlocBordereau", head | values) + "".join(pieces))


def an_attachment(
    name: str, content: bytes, kind: str = "007", *, packed: str | None = None
) -> str:
    """Return a `PJ`: base64 of gzip of the content, unless it is given packed."""
    if packed is None:
        packed = base64.b64encode(gzip.compress(content, mtime=0)).decode()
    fichier = f'<Fichier MIMEType="application/pdf">{packed}</Fichier>\n'
    inner = element("Contenu", {}, fichier)
    values = {"IdUnique": name, "NomPJ": f"{name}.pdf", "TypePJ": kind, "Description": "FACTURE"}
    return f"<PJ>\n{inner}{''.join(f'<{tag} V={quoteattr(v)}/>' for tag, v in values.items())}</PJ>"


def a_head(kind: str = "PESORMC", encoding: str = "ISO-8859-1", prolog: str = "") -> str:
    """Return a file up to its first bordereau."""
    envelope = element(
        "Enveloppe",
        {},
        element("Parametres", {"Version": "2", "TypFic": kind, "NomFic": "export.xml"})
        + element("Emetteur", {"Sigle": "TEST", "Adresse": "TEST 1"}),
    )
    header = element(
        "EnTetePES",
        {
            "DteStr": "2026-03-04",
            "IdPost": "035012",
            "IdColl": "21350012300017",
            "CodCol": "123",
            "CodBud": "00",
        },
    )
    start = element("EnTeteRecette", {"IdVer": "2", "InfoDematerialisee": "0"})
    declaration = f'<?xml version="1.0" encoding="{encoding}"?>\n' if encoding else ""
    return f"{declaration}{prolog}<{ROOT}>\n{envelope}{header}<PES_RecetteAller>\n{start}"


def a_pes(
    bordereaux: Iterable[str] | None = None,
    attachments: Sequence[str] = (),
    *,
    kind: str = "PESORMC",
    encoding: str = "ISO-8859-1",
    prolog: str = "",
) -> bytes:
    """Return a whole file in the encoding that it declares, or in UTF-8 if it declares none."""
    text = a_head(kind, encoding, prolog)
    text += "".join([a_bordereau()] if bordereaux is None else bordereaux)
    text += "</PES_RecetteAller>\n"
    if attachments:
        head = element("EnTetePES_PJ", {"IdVer": "1"})
        text += f"<PES_PJ>\n{head}{''.join(attachments)}</PES_PJ>\n"
    return (text + "</n:PES_Aller>\n").encode(encoding or "utf-8")


def write_large_pes(file: BinaryIO, pieces: int, *, pdf: bytes | None = None) -> int:
    """Write an ORMC of so many pieces, about 1.5 kB each; return its amount in cents.

    With `pdf`, each piece has an attachment: that file, followed by its own number so that no two
    are alike. Nothing is left to chance: the same arguments give the same bytes.
    """
    amounts = [250 + (number * 7919) % 40_000 for number in range(pieces)]
    total_cents = sum(amounts)
    head = a_bordereau([], str(Decimal(total_cents) / 100), NbrPce=str(pieces))
    file.write((a_head() + head.removesuffix("</Bordereau>\n")).encode("cp1252"))
    for index, amount_cents in enumerate(amounts):
        debt = str(2026_000_000 + index)
        file.write(_large_piece(index, debt, amount_cents, pdf is not None).encode("cp1252"))
    file.write(b"</Bordereau>\n</PES_RecetteAller>\n")
    if pdf is not None:
        file.write(b"<PES_PJ>\n")
        for index in range(pieces):
            content = pdf + b"%% %d\n" % index
            file.write(an_attachment(f"PJ{index}", content).encode())
        file.write(b"</PES_PJ>\n")
    file.write(b"</n:PES_Aller>\n")
    return total_cents


def _large_piece(index: int, debt: str, amount_cents: int, has_attachment: bool) -> str:
    tiers = a_tiers(
        {
            "Adr2": f"{index % 200} {STREETS[index % len(STREETS)]}",
            "CP": f"{76000 + index % 1000}",
        },
        RefTiers=f"F-{index}",
        Nom=f"{SURNAMES[index % len(SURNAMES)]}",
        Prenom=NAMES[index % len(NAMES)],
        Civilite="M" if index % 2 else "MME",
    )
    line = a_line(
        str(Decimal(amount_cents) / 100),
        tiers=tiers,
        debited_on="2026-03-31" if index % 3 else None,
        ObjLignePce=f"RESTAURATION SCOLAIRE ET ACCUEIL PÉRISCOLAIRE, MARS 2026, N° {debt}",
    )
    piece = a_piece(
        debt,
        lines=[line],
        attachments=[f"PJ{index}"] if has_attachment else (),
        IdPce=str(index + 1),
        ObjPce=f"FACTURE {debt} - MARS 2026",
    )
    return _indented(piece, depth=3)


def _indented(text: str, depth: int) -> str:
    """Return the lines of a text indented by their depth, as most producers write."""
    indented = []
    for line in text.splitlines():
        depth -= line.startswith("</")
        indented.append(f"{'  ' * depth}{line}\n")
        depth += not line.startswith("</") and not line.endswith("/>")
    return "".join(indented)


ROLMRE_WIDTHS = {
    "ROLMVT": 1,
    "ROLCOL": 2,
    "ROLNAT": 2,
    "ROLEX": 4,
    "ROLPER": 1,
    "ROLDET": 13,
    "ROLCLE1": 1,
    "ROLNUL": 1,
    "ROLCLE2": 1,
    "ROLREC": 2,
    "ROLDAT": 8,
    "ROLROL": 2,
    "ROLEAU": 12,
    "ROLASS": 12,
    "ROLTVE": 12,
    "ROLTVA": 12,
    "ROLTOT": 12,
    "ROLNMAJ": 12,
    "ROLNOM": 32,
    "ROLCNM": 32,
    "ROLDIS": 32,
    "ROLADR": 32,
    "ROLCVI": 32,
    "ROLCP": 5,
    "ROLLOC": 27,
    "ROLORU": 32,
    "ROLOVI": 32,
    "ROLPRE": 1,
    "bank": 47,
    "ROLCLI": 20,
    "ROLSCH": 10,
    "ROLART": 20,
    "ROLMONNAIE": 1,
    "ROLHOM": 1,
    "ROLDEB": 2,
    "filler": 31,
    "ROLVER": 1,
}


def a_rolmre_record(
    debt: str = "4711", *, cents: int = 1250, period: str = "0", **values: str
) -> str:
    """Return a ROLMRE record of 500 characters; keywords replace fields as they are."""
    number = debt.zfill(13)
    fields = {
        "ROLMVT": "1",
        "ROLCOL": "39",
        "ROLNAT": "01",
        "ROLEX": "2013",
        "ROLPER": period,
        "ROLDET": number,
        "ROLCLE1": first_key(f"390113{period}{number}"),
        "ROLNUL": "0",
        "ROLCLE2": second_key("2013", period, number),
        "ROLREC": "07",
        "ROLDAT": "20130905",
        "ROLROL": "09",
        "ROLEAU": f"{cents:012}",
        "ROLASS": "0" * 12,
        "ROLTVE": "0" * 12,
        "ROLTVA": "0" * 12,
        "ROLTOT": f"{cents:012}",
        "ROLNMAJ": "0" * 12,
        "ROLNOM": "HÉLÈNE BÉRANGER",
        "ROLADR": "3 ALLÉE DES CHÊNES",
        "ROLCP": "39000",
        "ROLLOC": "LONS-LE-SAUNIER",
        "ROLORU": f"Facture n°{debt}",
        "ROLPRE": "2",
        "ROLMONNAIE": "E",
        "ROLDEB": "00",
        "ROLVER": "2",
    } | values
    return "".join(
        f"{fields.get(name, ''):<{width}}"[:width] for name, width in ROLMRE_WIDTHS.items()
    )
