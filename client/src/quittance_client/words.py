"""What the command says to people, in French or in English; one catalogue for everything."""

from collections.abc import Mapping
from typing import Literal

Language = Literal["fr", "en"]

CATALOGUE: dict[str, tuple[str, str]] = {
    # Errors
    "refused": ("Refusé ({status} {code}) : {detail}", "Refused ({status} {code}): {detail}"),
    "at": ("Endroit : {pointer}", "Place: {pointer}"),
    "trace": ("Numéro à donner à l’assistance : {trace_id}", "Number for support: {trace_id}"),
    "no-answer": (
        "{url} ne répond pas ({reason}). Relancez la même commande pour reprendre.",
        "{url} does not answer ({reason}). Run the same command again to go on.",
    ),
    "doubtful": (
        (
            "La connexion a été coupée : on ne sait pas si {url} a fait ce qui était demandé."
            " Vérifiez avant de recommencer."
        ),
        (
            "The connection was cut: whether {url} did what was asked is not known."
            " Look before you try again."
        ),
    ),
    "later": (
        (
            "{url} demande d’attendre ({status}) et {tries} essais n’ont pas suffi."
            " Relancez la même commande plus tard pour reprendre."
        ),
        (
            "{url} asks to wait ({status}) and {tries} tries were not enough."
            " Run the same command later to go on."
        ),
    ),
    "much-later": (
        "{url} demande d’attendre {seconds} s. Relancez la même commande ensuite.",
        "{url} asks to wait {seconds} s. Run the same command after that.",
    ),
    "untrusted": (
        (
            "Le certificat de {url} n’est pas reconnu ({reason}). Si votre réseau a sa propre"
            " autorité, indiquez-la par QUITTANCE_CA_FILE."
        ),
        (
            "The certificate of {url} is not trusted ({reason}). If your network has an authority"
            " of its own, name it in QUITTANCE_CA_FILE."
        ),
    ),
    "no-progress": (
        (
            "Le dépôt {deposit_id} n’avance pas depuis {seconds} s. Relancez la même commande pour"
            " continuer à le suivre."
        ),
        (
            "Deposit {deposit_id} has not moved for {seconds} s. Run the same command again to go"
            " on following it."
        ),
    ),
    "not-ready": (
        "{url} n’est pas prêt après {seconds} s. Relancez la même commande.",
        "{url} is not ready after {seconds} s. Run the same command again.",
    ),
    "setting-missing": (
        (
            "Il manque {names}. Lancez « quittance configure », ou donnez les variables"
            " {variables}, ou --endpoints."
        ),
        "Missing: {names}. Run `quittance configure`, or set {variables}, or give --endpoints.",
    ),
    "profile-unknown": (
        "Le profil « {profile} » n’est pas dans {path}.",
        "There is no profile “{profile}” in {path}.",
    ),
    "file-unreadable": ("{path} n’est pas lisible : {reason}", "{path} cannot be read: {reason}"),
    "file-unwritable": (
        "{path} ne peut pas être écrit : {reason}",
        "{path} cannot be written: {reason}",
    ),
    "file-open-to-all": (
        "{path} contient un secret et d’autres peuvent le lire : chmod 600 {path}",
        "{path} holds a secret and others can read it: chmod 600 {path}",
    ),
    "file-changed": (
        "{path} a changé pendant l’envoi ; rien n’a été déposé. Relancez la commande.",
        "{path} changed while it was sent; nothing was deposited. Run the command again.",
    ),
    "output-lost": (
        "Les encaissements n’ont pas pu être écrits ({reason}) ; ils reviendront la fois suivante.",
        "What was paid could not be written ({reason}); it comes again next time.",
    ),
    "list-lost": (
        "La liste n’a pas pu être écrite en entier ({reason}).",
        "The list could not be written whole ({reason}).",
    ),
    "folder-empty": ("{path} ne contient aucun fichier.", "{path} holds no file."),
    "folder-many-indexes": (
        "{path} contient plusieurs index ({names}) : nommez-en un et joignez les PDF par --with.",
        "{path} holds several indexes ({names}): name one and add the PDFs with --with.",
    ),
    "name-twice": (
        "Deux fichiers joints portent le nom {name}.",
        "Two files that go together are named {name}.",
    ),
    "with-one-file": (
        "--with va avec un seul fichier de dépôt.",
        "--with goes with one deposit file.",
    ),
    "key-one-file": ("--key va avec un seul dépôt.", "--key goes with one deposit."),
    "not-tls": (
        "{url} n’est pas une adresse https:// ; le secret n’est pas envoyé en clair.",
        "{url} is no https:// address; the secret is not sent in the clear.",
    ),
    "not-a-day": (
        "« {value} » n’est pas un jour de la forme AAAA-MM-JJ.",
        "“{value}” is no day of the form YYYY-MM-DD.",
    ),
    "not-a-publish": (
        "« {value} » n’est ni auto, ni manual, ni un jour AAAA-MM-JJ.",
        "“{value}” is neither auto, nor manual, nor a day YYYY-MM-DD.",
    ),
    "not-positive": (
        "« {value} » n’est pas un nombre entier positif.",
        "“{value}” is no whole number from 1 on.",
    ),
    "not-an-index": (
        "L’index se termine par .json ou .csv, pas « {path} ».",
        "The index ends in .json or .csv, not “{path}”.",
    ),
    "needs-position": (
        "--position et -o vont ensemble.",
        "--position and -o go together.",
    ),
    "needs-period": (
        "Donnez l’identifiant d’un envoi, ou --from et --to.",
        "Give the id of a delivery, or --from and --to.",
    ),
    "secret-command-failed": (
        "La commande qui donne le secret a échoué : {reason}",
        "The command that gives the secret failed: {reason}",
    ),
    "cursor-busy": (
        "Une autre commande « collections » suit déjà ce flux avec ce profil.",
        "Another `collections` already follows this feed with this profile.",
    ),
    "usage": ("{reason}\n{usage}", "{reason}\n{usage}"),
    "interrupted": (
        "Interrompu. Relancez la même commande pour reprendre.",
        "Interrupted. Run the same command again to go on.",
    ),
    # Depositing
    "waiting": (
        "Nouvel essai dans {seconds} s ({reason}).",
        "Trying again in {seconds} s ({reason}).",
    ),
    "sending": ("Envoi de {name}", "Sending {name}"),
    "reading": ("Lecture de {name}", "Reading {name}"),
    "fetching": ("Réception de {name}", "Fetching {name}"),
    "lines-read": ("{total} lignes", "{total} lines"),
    "following": (
        "{name} est déjà déposé ({deposit_id}) : suivi du dépôt. --again le dépose à nouveau.",
        "{name} is deposited already ({deposit_id}): following it. --again deposits it anew.",
    ),
    "taken": ("{name} : reçu, dépôt {deposit_id}", "{name}: received, deposit {deposit_id}"),
    "totals": (
        (
            "{name} : {total} lignes, {created} créées, {unchanged} inchangées, {superseded}"
            " remplacées, {rejected} rejetées ; {amount}"
        ),
        (
            "{name}: {total} lines, {created} created, {unchanged} unchanged, {superseded}"
            " superseded, {rejected} rejected; {amount}"
        ),
    ),
    "dry-run": ("Essai : rien n’a été gardé.", "Dry run: nothing was kept."),
    "held": (
        "En attente : quittance preview {deposit_id}, puis quittance release {deposit_id}",
        "Held: quittance preview {deposit_id}, then quittance release {deposit_id}",
    ),
    "cancelled": ("Ce dépôt a été annulé.", "This deposit was cancelled."),
    "failed": (
        "{name} : dépôt {deposit_id} refusé en entier ({code}) : {detail}",
        "{name}: deposit {deposit_id} was refused as a whole ({code}): {detail}",
    ),
    "written": ("Écrit : {path}", "Written: {path}"),
    "not-yet": (
        "Les factures sont encore en préparation ; nouvel essai dans {seconds} s.",
        "Invoices are still being made; asking again in {seconds} s.",
    ),
    # Webhooks and configuration
    "secret-kept": (
        "Le secret est dans {path} (lisible par vous seul).",
        "The secret is in {path} (readable by you alone).",
    ),
    "profile-kept": (
        "Profil « {profile} » écrit dans {path}.",
        "Profile “{profile}” written to {path}.",
    ),
    "ask-url": (
        "Adresse de Quittance (vide s’il y en a plusieurs) : ",
        "Address of Quittance (empty if there are several): ",
    ),
    "ask-deposits-url": ("Adresse des dépôts : ", "Address of deposits: "),
    "ask-collections-url": ("Adresse des encaissements : ", "Address of collections: "),
    "ask-token-url": ("Adresse des jetons (…/oauth/token) : ", "Token address (…/oauth/token): "),
    "ask-client-id": ("Identifiant : ", "Client id: "),
    "ask-secret": ("Secret (non affiché) : ", "Secret (not shown): "),
    "yes": ("oui", "yes"),
    "no": ("non", "no"),
    "done": ("Fait.", "Done."),
    "nothing": ("Rien.", "Nothing."),
}

COLUMNS: dict[str, tuple[str, str]] = {
    "position": ("ligne", "line"),
    "regie": ("régie", "régie"),
    "number": ("numéro", "number"),
    "status": ("statut", "status"),
    "code": ("code", "code"),
    "pointer": ("endroit", "place"),
    "message": ("motif", "reason"),
    "deposit_id": ("dépôt", "deposit"),
    "invoice_id": ("facture", "invoice"),
    "amount_cents": ("montant", "amount"),
    "count": ("nombre", "count"),
    "day": ("jour", "day"),
    "payment_count": ("paiements", "payments"),
    "payment_cents": ("encaissé", "taken"),
    "reversal_count": ("annulations", "reversals"),
    "reversal_cents": ("annulé", "reversed"),
    "net_cents": ("net", "net"),
    "is_closed": ("clos", "closed"),
    "kind": ("fait", "kind"),
    "means": ("moyen", "means"),
    "occurred_at": ("quand", "when"),
    "due_on": ("échéance", "due"),
    "payer_name": ("redevable", "payer"),
}
"""Headings of tables; a field that is not named here stands under its own name."""


class Words:
    """The catalogue in one language."""

    def __init__(self, language: Language = "fr") -> None:
        """Speak that language."""
        self.language = language

    def __call__(self, slug: str, **values: object) -> str:
        """Return a sentence with its values filled in."""
        french, english = CATALOGUE[slug]
        return (french if self.language == "fr" else english).format(**values)

    def heading(self, field: str) -> str:
        """Return the heading of a column."""
        french, english = COLUMNS.get(field, (field, field))
        return french if self.language == "fr" else english

    def euros(self, cents: int) -> str:
        """Return an amount as it is written in the language, with no-break spaces."""
        sign = "-" if cents < 0 else ""
        whole, rest = divmod(abs(cents), 100)
        if self.language == "en":
            return f"{sign}€{whole:,}.{rest:02d}"
        # Not the narrow space of typography: consoles with an 8-bit character set have none.
        return f"{sign}{whole:,}".replace(",", "\u00a0") + f",{rest:02d}\u00a0€"


def language_of(environment: Mapping[str, str]) -> Language:
    """Return the language that the environment asks for (POSIX, 8.2); French if it says none."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = environment.get(name, "")
        if value:
            return "en" if value.lower().startswith("en") else "fr"
    return "fr"
