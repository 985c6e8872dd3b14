"""Finds, among the first rows of a table, the one that names the columns, and what each holds."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import msgspec

from ingestion.adapters.table_cells import Cell, shown
from ingestion.domain import UnreadableDepositError

HEADING_ROWS = 10
"""A title and some remarks may stand above the headings; further down nobody looks."""
MAXIMUM_COLUMNS = 512
SHOWN_HEADINGS = 20
SHOWN_LENGTH = 40

NAMES: Mapping[str, str] = {
    "regie": "régie|code régie|régie de recettes",
    "number": "numéro facture|numéro de la facture|facture numéro|num facture|no facture|nr facture"
    "|réf facture|référence facture|code facture|id facture|facture|numéro pièce|pièce"
    "|numéro avis|avis des sommes à payer|numéro asap|numéro titre|titre|invoice number|invoice"
    "|numéro|num|no|nr",
    "issued_on": "date d'émission|date émission|émise le|émis le|issue date|date facture"
    "|date facturation|date d'édition|date édition|édité le|date pièce|date création"
    "|invoice date|date",
    "due_on": "date limite de paiement|date limite paiement|date limite de règlement"
    "|date limite règlement|date d'échéance|échéance|échéance le|échéance de paiement"
    "|à payer avant le|à payer avant|à régler avant le|à régler avant|payable avant le"
    "|limite de paiement|date limite|due date|dlp",
    "amount": "net à payer|net à régler|montant net à payer|montant à payer|montant à régler"
    "|reste dû|solde dû|montant dû|reste à payer|solde actuel|solde"
    "|total à payer|somme à payer|montant facture"
    "|montant de la facture|total facture|montant ttc|total ttc|ttc|montant total|total|montant"
    "|somme|amount due|total amount",
    "amount_cents": "montant en centimes|montant centimes|centimes|net à payer en centimes",
    "currency": "devise|monnaie|code devise",
    "subject": "objet|objet facture|objet de la facture|intitulé|intitulé facture|libellé facture"
    "|libellé de la facture|motif|nature|description|libellé",
    "kind": "type de document|type document|type de pièce|type pièce|type facture"
    "|nature pièce|facture ou avoir",
    "payer_reference": "code famille|numéro famille|id famille|ref famille|référence famille"
    "|identifiant famille|numéro client|code client|ref client|référence client|id client"
    "|numéro redevable|code redevable|ref redevable|référence redevable|id redevable"
    "|identifiant redevable|compte redevable|numéro usager|code usager|identifiant usager"
    "|id usager|numéro tiers|code tiers|numéro abonné|code abonné|référence abonné|numéro compte"
    "|numéro dossier|matricule|identifiant|customer number",
    "payer_name": "nom et prénom|nom prénom|nom complet|nom redevable|nom du redevable|redevable"
    "|débiteur|nom débiteur|payeur|nom payeur|nom client|nom du client|client"
    "|famille|nom usager|usager|titulaire|nom titulaire|destinataire"
    "|nom destinataire|abonné|nom abonné|responsable|raison sociale|tiers|nom tiers|payer"
    "|customer name|name|nom",
    "payer_last_name": "nom de famille|nom d'usage|nom patronymique|nom responsable|last name"
    "|surname",
    "payer_first_name": "prénom|prénoms|prénom redevable|prénom client|prénom responsable"
    "|prénom payeur|prénom usager|first name",
    "payer_civility": "civilité|civ|titre de civilité|titre civilité|qualité",
    "payer_email": "courriel|email|e-mail|mail|mél|adresse mail|adresse email|adresse e-mail"
    "|adresse courriel|adresse électronique|courrier électronique|email redevable|mail redevable"
    "|courriel redevable|email client|mail client|mail famille|email famille",
    "payer_phone": "téléphone|tél|numéro téléphone|numéro tél|téléphone portable|tél portable"
    "|portable|mobile|téléphone mobile|tél mobile|gsm|téléphone domicile|tél domicile"
    "|téléphone fixe|phone",
    "payer_address": "adresse complète|adresse postale|adresse redevable|adresse client"
    "|adresse famille|adresse du redevable|adresse facturation|adresse|address",
    "payer_address1": "adresse 1|adresse1|adresse ligne 1|ligne adresse 1|rue|voie|numéro et voie"
    "|numéro et rue|rue résidence|address 1",
    "payer_address2": "adresse 2|adresse2|adresse ligne 2|ligne adresse 2|complément adresse"
    "|complément|complément d'adresse|address 2",
    "payer_address3": "adresse 3|adresse3|adresse ligne 3|ligne adresse 3|lieu dit|address 3",
    "payer_address4": "adresse 4|adresse4|adresse ligne 4|ligne adresse 4|address 4",
    "payer_postcode": "code postal|cp|cp résidence|code postal redevable|postcode|zip",
    "payer_city": "ville|commune|localité|bureau distributeur|ville résidence|ville redevable|city",
    "payer_family_name": "nom de naissance redevable|nom de naissance du redevable",
    "payer_given_names": "prénoms de naissance redevable|prénoms d'état civil redevable",
    "payer_birthdate": "date de naissance redevable|date de naissance du redevable",
    "payer_gender": "sexe redevable|sexe du redevable",
    "payer_birthplace": "code insee naissance redevable|commune de naissance redevable",
    "payer_birthcountry": "code pays naissance redevable|pays de naissance redevable",
    "pdf": "fichier|fichier pdf|nom fichier|nom du fichier|nom fichier pdf|pièce jointe|document",
    "version": "numéro version|révision",
    "fiscal_year": "exercice|année exercice|exercice budgétaire|année budgétaire",
    "debt_reference": "référence de la dette|référence dette|réf dette|refdet",
    "line_label": "libellé ligne|libellé de la ligne|libellé prestation|prestation|désignation"
    "|désignation prestation|détail|activité|article",
    "line_quantity": "quantité|qté|qte|nombre|nb|nombre unités|quantity",
    "line_unit_amount": "prix unitaire|pu|pu ttc|prix unitaire ttc|tarif|tarif unitaire"
    "|montant unitaire|unit price",
    "line_amount": "montant ligne|montant de la ligne|total ligne|montant prestation"
    "|montant de la prestation|total prestation|montant détail|line amount",
}
"""French and English headings of each field beside its own name, the most telling first.

They are written as clerks and billing software write them and compared as `plain` says. Where a
table has several of one field, the first in this order is read: what is left to pay before the
total.
"""

_REQUIRED = (
    (("number",), "le numéro de facture"),
    (("issued_on",), "la date d’émission"),
    (("due_on",), "la date limite de paiement"),
    (("amount", "amount_cents", "line_amount"), "le montant"),
    (("payer_name", "payer_last_name"), "le nom du redevable"),
)
_REQUIRED_FIELDS = frozenset(field for fields, _ in _REQUIRED for field in fields)
_REGIE = (("regie",), "la régie, dans une colonne ou dans l’adresse")

_NUMERO = re.compile(r"\bn\s*[°º]")
_SEPARATOR = re.compile(r"[^a-z0-9]+")
_UNIT = re.compile(r" (?:en )?(?:euros?|eur)$")
_SMALL_WORDS = frozenset({"de", "du", "des", "d", "la", "le", "l", "les"})


class Heading(msgspec.Struct, frozen=True, kw_only=True):
    """The heading row: which column each field is read from, and what that column is called.

    `named_width` counts the columns up to the last that has a name.
    """

    width: int
    named_width: int
    columns: Mapping[str, int]
    mapping: Mapping[str, str]


@lru_cache(maxsize=4096)
def plain(heading: str) -> str:
    """Return a heading without accents, case, punctuation, small words and unit.

    `N° de facture`, `NUMERO FACTURE` and `Numéro (facture)` are the same, and so are
    `Montant TTC (€)` and `montant ttc en euros`.
    """
    text = _NUMERO.sub("numero ", heading.casefold())
    letters = "".join(
        character
        for character in unicodedata.normalize("NFKD", text)
        if not unicodedata.combining(character)
    )
    words = _UNIT.sub("", _SEPARATOR.sub(" ", letters).strip())
    return " ".join(word for word in words.split() if word not in _SMALL_WORDS)


_RANKS: Mapping[str, tuple[str, int]] = {
    plain(name): (field, rank)
    for field, names in NAMES.items()
    for rank, name in reversed([*enumerate([field, *names.split("|")])])
}
"""Field and rank of each plain heading; the field's own name comes first of all."""


def find_heading(
    rows: Sequence[Sequence[Cell]], mapping: Mapping[str, str], regie: str | None
) -> tuple[int, Heading]:
    """Return the index of the heading row among `rows` and what it says.

    It is the first one that has every field an invoice needs; `mapping` (heading of each field)
    goes before the names known here.

    Raises:
        UnreadableDepositError: `mapping` when it names a field that does not exist or a column
            that no row has; `missing_columns`; `duplicate_column` when a heading that is read
            stands twice; `too_many_columns`.
    """
    unknown = [field for field in mapping if field not in NAMES]
    if unknown:
        raise _refuse("mapping", f"Le champ {_listed(unknown)} n’existe pas dans une table.")
    best: tuple[int, Sequence[Cell], dict[str, int]] | None = None
    for index, row in enumerate(rows[:HEADING_ROWS]):
        if len(row) > MAXIMUM_COLUMNS:
            raise _refuse("too_many_columns", "Une table compte 512 colonnes au plus.")
        columns = _columns(row, mapping)
        if not _missing(columns, regie) and not _absent(row, mapping):
            return index, _heading(row, columns, mapping)
        if best is None or len(columns) > len(best[2]):
            best = index, row, columns
    if best is None:
        raise _refuse("no_invoices", "La table est vide.")
    _, row, columns = best
    absent = _absent(row, mapping)
    if absent:
        message = f"La colonne {_listed(absent)}, que le réglage désigne, n’est pas dans la table."
        raise _refuse("mapping", message + _seen(row))
    missing = ", ".join(_missing(columns, regie))
    raise _refuse(
        "missing_columns",
        f"La première ligne doit nommer les colonnes ; il manque : {missing}.{_seen(row)}",
    )


def recognised(row: Sequence[Cell], mapping: Mapping[str, str]) -> int:
    """Return of how many fields the row names a column."""
    return len(_columns(row[:MAXIMUM_COLUMNS], mapping))


def _columns(row: Sequence[Cell], mapping: Mapping[str, str]) -> dict[str, int]:
    headings = [shown(cell) for cell in row]
    columns = {}
    for field, heading in mapping.items():
        index = _position(headings, heading)
        if index is not None:
            columns[field] = index
    taken = set(columns.values())
    ranks: dict[str, int] = {}
    for index, heading in enumerate(headings):
        field, rank = _RANKS.get(plain(heading), ("", 0))
        if not field or field in mapping or index in taken:
            continue
        if field not in ranks or rank < ranks[field]:
            ranks[field], columns[field] = rank, index
    return _settled(columns, headings, mapping)


def _settled(
    columns: dict[str, int], headings: Sequence[str], mapping: Mapping[str, str]
) -> dict[str, int]:
    """Decide what a heading means that depends on the others."""
    # Beside a first name, "Nom" alone is the last name and not the whole one.
    name = columns.get("payer_name")
    if (
        "payer_first_name" in columns
        and "payer_last_name" not in columns
        and "payer_name" not in mapping
        and name is not None
        and "prenom" not in plain(headings[name])
    ):
        columns["payer_last_name"] = columns.pop("payer_name")
    # In a table of lines a bare "Libellé" names what is billed on each of them.
    subject = columns.get("subject")
    if (
        "line_amount" in columns
        and "line_label" not in columns
        and "subject" not in mapping
        and subject is not None
        and plain(headings[subject]) in {"libelle", "description"}
    ):
        columns["line_label"] = columns.pop("subject")
    # With one row for each invoice, what was billed is what the invoice is about.
    if "line_amount" not in columns and "line_label" in columns and "subject" not in columns:
        columns["subject"] = columns.pop("line_label")
    if "line_amount" in columns:
        return columns
    return {field: index for field, index in columns.items() if not field.startswith("line_")}


def _position(headings: Sequence[str], wanted: str) -> int | None:
    """Return the column of a heading that the mapping names, as written or nearly so."""
    if wanted and wanted in headings:
        return headings.index(wanted)
    key = plain(wanted)
    found = (index for index, heading in enumerate(headings) if key and key == plain(heading))
    return next(found, None)


def _heading(
    row: Sequence[Cell], columns: Mapping[str, int], mapping: Mapping[str, str]
) -> Heading:
    headings = [shown(cell) for cell in row]
    counts = Counter(plain(heading) for heading in headings)
    exact = Counter(headings)
    for field, index in columns.items():
        # Which of two columns of one name holds the truth is not for a program to guess.
        has_twin = exact if mapping.get(field) == headings[index] else counts
        key = headings[index] if has_twin is exact else plain(headings[index])
        if has_twin[key] > 1:
            message = f"La colonne {_listed([headings[index]])} figure deux fois : renommez l’une."
            raise _refuse("duplicate_column", message)
    return Heading(
        width=len(row),
        named_width=max(
            (index + 1 for index, heading in enumerate(headings) if heading), default=0
        ),
        columns=columns,
        mapping={field: headings[index] for field, index in columns.items()},
    )


def _missing(columns: Mapping[str, int], regie: str | None) -> list[str]:
    required = _REQUIRED if regie else (*_REQUIRED, _REGIE)
    return [label for fields, label in required if not any(field in columns for field in fields)]


def _absent(row: Sequence[Cell], mapping: Mapping[str, str]) -> list[str]:
    """Return the columns that the mapping names and the row has not.

    A field that may be missing, under a name that is known without the mapping, was remembered
    from a table that had it and is not missed in one that has not.
    """
    headings = [shown(cell) for cell in row]
    return [
        heading
        for field, heading in mapping.items()
        if _position(headings, heading) is None
        and (field in _REQUIRED_FIELDS or _RANKS.get(plain(heading), ("", 0))[0] != field)
    ]


def _seen(row: Sequence[Cell]) -> str:
    headings = [heading for heading in map(shown, row) if heading]
    if not headings:
        return " Aucune colonne n’a de nom."
    more = ", …" if len(headings) > SHOWN_HEADINGS else ""
    return f" Colonnes lues : {_listed(headings[:SHOWN_HEADINGS])}{more}."


def _listed(headings: Iterable[str]) -> str:
    """Return headings as a sentence may show them: they come from outside."""
    return ", ".join(
        "« " + "".join(filter(str.isprintable, heading[:SHOWN_LENGTH])) + " »"
        for heading in headings
    )


def _refuse(code: str, detail: str) -> UnreadableDepositError:
    return UnreadableDepositError(code=code, pointer="", detail=detail)
