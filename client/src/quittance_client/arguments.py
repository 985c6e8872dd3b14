"""The command line: every command, its options, and what they say of themselves."""

import argparse
from datetime import date
from pathlib import Path
from typing import Any, NoReturn

from quittance_client.errors import SettingsError
from quittance_client.words import Words

HELP: dict[str, tuple[str, str]] = {
    "quittance": (
        "Dépose des factures, suit les dépôts, imprime, écoute les encaissements.",
        "Deposits invoices, follows deposits, prints, hears what was paid.",
    ),
    "configure": ("écrit un profil", "write a profile"),
    "deposit": ("dépose des factures et suit leur lecture", "deposit invoices and follow them"),
    "status": ("où en est un dépôt", "how far a deposit is"),
    "lines": ("ce que sont devenues ses lignes", "what became of its lines"),
    "preview": ("ce qu’un dépôt en attente publierait", "what a held deposit would publish"),
    "release": ("publie un dépôt en attente", "publish a held deposit"),
    "cancel": ("abandonne un dépôt en attente", "drop a held deposit"),
    "print": ("le PDF marqué d’une facture", "the stamped PDF of an invoice"),
    "print-run": ("les PDF à poster d’un dépôt", "the PDFs of a deposit that go by post"),
    "withdraw": ("retire une facture", "take an invoice back"),
    "paperless": (
        "les références à ne plus imprimer",
        "the references for which nothing is to be printed",
    ),
    "collections": ("ce qui a été payé", "what was paid"),
    "totals": ("nombre et somme par jour et par régie", "count and sum for each day and régie"),
    "webhook": ("l’adresse où envoyer les encaissements", "where to send what was paid"),
    "set": ("fixe l’adresse", "set the address"),
    "show": ("montre l’adresse", "show the address"),
    "rotate": ("change le secret", "change the secret"),
    "delete": ("n’envoie plus rien", "send nothing any more"),
    "test": ("envoie un essai", "send a test"),
    "deliveries": ("les envois et leur sort", "what was sent and what came of it"),
    "replay": ("renvoie un envoi, ou ceux d’une période", "send one again, or those of some time"),
    "--profile": ("profil du fichier de configuration", "profile of the configuration file"),
    "--url": ("une seule adresse pour tout", "one address for everything"),
    "--endpoints": (
        "endpoints.json de la démonstration",
        "endpoints.json of the demo",
    ),
    "--json": ("du JSON pour les programmes", "JSON for programs"),
    "FILE": (
        "fichier, ou dossier avec un index et des PDF",
        "a file, or a folder of an index and PDFs",
    ),
    "--with": ("PDF que FILE nomme", "PDFs that FILE names"),
    "--regie": (
        "régie, si le format n’en nomme pas",
        "régie, if the format names none",
    ),
    "--version": ("version des factures", "version of the invoices"),
    "--publish": ("auto, manual, ou un jour AAAA-MM-JJ", "auto, manual, or a day YYYY-MM-DD"),
    "--dry-run": ("lit et vérifie, ne garde rien", "read and check, keep nothing"),
    "--wait": ("suit la lecture (défaut)", "follow the reading (default)"),
    "--key": ("clé d’idempotence de votre choix", "an idempotency key of your own"),
    "--again": (
        "dépose à nouveau ce qui l’a déjà été",
        "deposit anew what was deposited before",
    ),
    "--report": ("CSV du sort de chaque ligne", "CSV of what became of each line"),
    "--status": ("seulement ce statut", "this status only"),
    "--position": ("cette ligne en PDF", "that line as PDF"),
    "-o": ("fichier à écrire", "file to write"),
    "--duplex": ("imprimé recto verso", "printed on both sides"),
    "--index": ("index .json ou .csv à côté", "index beside it, .json or .csv"),
    "--reason": ("motif", "reason"),
    "--after": ("à partir de ce repère", "from this cursor on"),
    "--from-start": ("depuis le début", "from the beginning"),
    "--follow": ("continue jusqu’à Ctrl-C", "go on until Ctrl-C"),
    "--acknowledge": (
        "la place est gardée par Quittance",
        "Quittance keeps the place",
    ),
    "--format": ("table, csv ou json", "table, csv or json"),
    "--from": ("premier jour", "first day"),
    "--to": ("dernier jour", "last day"),
    "--secret-file": ("où écrire le secret", "where to write the secret"),
    "--secret-stdin": (
        "lit le secret sur l’entrée standard",
        "read the secret from standard input",
    ),
    "--secret-command": (
        "commande qui donne le secret",
        "a command that gives the secret",
    ),
    "--ca-file": ("autorité de certification", "certificate authority"),
    "address": ("adresse", "address"),
    "id": ("identifiant", "id"),
}


class Parser(argparse.ArgumentParser):
    """Raises instead of leaving, so that errors are told in one way."""

    def error(self, message: str) -> NoReturn:
        """Raise what is wrong with the command line."""
        raise SettingsError("usage", reason=message, usage=" ".join(self.format_usage().split()))


class _Builder:
    """Adds commands with their help in one language."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self.parser = Parser(prog="quittance", description=self._help("quittance"))
        self._add_common(self.parser, default=None)
        self.commands = self.parser.add_subparsers(
            dest="command", required=True, metavar="COMMAND", parser_class=Parser
        )

    def _help(self, name: str) -> str:
        french, english = HELP[name]
        return french if self._words.language == "fr" else english

    def _add_common(self, parser: argparse.ArgumentParser, *, default: Any) -> None:  # noqa: ANN401
        """Add what every command takes, before its name or after it."""
        for name, value in (("--profile", "NAME"), ("--url", "URL")):
            parser.add_argument(name, metavar=value, default=default, help=self._help(name))
        parser.add_argument(
            "--endpoints",
            metavar="FILE",
            type=Path,
            default=default,
            help=self._help("--endpoints"),
        )
        is_json = False if default is None else default
        parser.add_argument(
            "--json", action="store_true", default=is_json, help=self._help("--json")
        )

    def command(self, name: str, *, under: Any = None) -> argparse.ArgumentParser:  # noqa: ANN401
        """Add a command and return its parser."""
        commands = self.commands if under is None else under
        parser: argparse.ArgumentParser = commands.add_parser(
            name, help=self._help(name), description=self._help(name)
        )
        # What was given before the command's name stays unless it is given again.
        self._add_common(parser, default=argparse.SUPPRESS)
        return parser

    def option(self, parser: argparse.ArgumentParser, name: str, **how: Any) -> None:  # noqa: ANN401
        """Add an option or an argument with its help."""
        topic = {
            "webhook_url": "address",
            "deposit_id": "id",
            "invoice_id": "id",
            "delivery_id": "id",
        }
        parser.add_argument(name, help=self._help(topic.get(name, how.pop("topic", name))), **how)


def parser_for(words: Words) -> argparse.ArgumentParser:
    """Return the command line's parser, in that language."""
    builder = _Builder(words)
    _add_configure(builder)
    _add_deposit(builder)
    _add_deposits(builder)
    _add_paper(builder)
    _add_collections(builder)
    _add_webhook(builder)
    return builder.parser


def _add_configure(builder: _Builder) -> None:
    parser = builder.command("configure")
    for name in ("--deposits-url", "--collections-url", "--token-url"):
        builder.option(parser, name, topic="address", metavar="URL")
    builder.option(parser, "--client-id", topic="id", metavar="ID")
    builder.option(parser, "--ca-file", metavar="FILE")
    secret = parser.add_mutually_exclusive_group()
    # No option takes the secret itself: the list of processes would show it to everybody.
    builder.option(secret, "--secret-stdin", action="store_true")  # type: ignore[arg-type]
    builder.option(secret, "--secret-command", metavar="COMMAND")  # type: ignore[arg-type]


def _add_deposit(builder: _Builder) -> None:
    parser = builder.command("deposit")
    builder.option(parser, "files", topic="FILE", nargs="+", type=Path, metavar="FILE")
    builder.option(
        parser,
        "--with",
        dest="companions",
        nargs="+",
        type=Path,
        metavar="PDF",
        default=[],
        action="extend",
    )
    builder.option(parser, "--regie", metavar="CODE")
    builder.option(parser, "--version", type=_positive, metavar="N")
    builder.option(parser, "--publish", type=_publish, metavar="WHEN")
    builder.option(parser, "--dry-run", action="store_true")
    builder.option(parser, "--wait", action=argparse.BooleanOptionalAction, default=True)
    builder.option(parser, "--key", metavar="KEY")
    builder.option(parser, "--again", action="store_true")
    builder.option(parser, "--report", type=Path, metavar="FILE.csv")


def _add_deposits(builder: _Builder) -> None:
    for name in ("status", "lines", "preview", "release", "cancel"):
        parser = builder.command(name)
        builder.option(parser, "deposit_id", metavar="DEPOSIT_ID")
        if name == "lines":
            statuses = ["created", "unchanged", "superseded", "rejected"]
            builder.option(parser, "--status", choices=statuses)
        elif name == "preview":
            builder.option(parser, "--position", type=int, metavar="N")
            builder.option(parser, "-o", dest="output", type=Path, metavar="FILE.pdf")
    parser = builder.command("withdraw")
    builder.option(parser, "invoice_id", metavar="INVOICE_ID")
    builder.option(parser, "--reason", required=True)


def _add_paper(builder: _Builder) -> None:
    parser = builder.command("print")
    builder.option(parser, "invoice_id", metavar="INVOICE_ID")
    builder.option(parser, "-o", dest="output", type=Path, required=True, metavar="FILE.pdf")
    parser = builder.command("print-run")
    builder.option(parser, "deposit_id", metavar="DEPOSIT_ID")
    builder.option(parser, "-o", dest="output", type=Path, required=True, metavar="FILE.pdf")
    builder.option(parser, "--duplex", action="store_true")
    builder.option(parser, "--index", type=_index, metavar="FILE.json|csv")
    builder.command("paperless")


def _add_collections(builder: _Builder) -> None:
    parser = builder.command("collections")
    place = parser.add_mutually_exclusive_group()
    builder.option(place, "--after", metavar="CURSOR")  # type: ignore[arg-type]
    builder.option(place, "--from-start", action="store_true")  # type: ignore[arg-type]
    builder.option(parser, "--follow", action="store_true")
    builder.option(parser, "--acknowledge", action="store_true")
    builder.option(parser, "--format", choices=["table", "csv", "json"], default="table")
    parser = builder.command("totals")
    builder.option(parser, "--from", dest="first", type=_day, required=True, metavar="DAY")
    builder.option(parser, "--to", dest="last", type=_day, required=True, metavar="DAY")


def _add_webhook(builder: _Builder) -> None:
    actions = builder.command("webhook").add_subparsers(
        dest="action", required=True, metavar="ACTION", parser_class=Parser
    )
    parser = builder.command("set", under=actions)
    builder.option(parser, "webhook_url", metavar="ADDRESS")
    builder.option(parser, "--regie", dest="regies", action="append", metavar="CODE")
    builder.option(parser, "--since", topic="--after", metavar="CURSOR")
    builder.option(parser, "--secret-file", type=Path, required=True, metavar="FILE")
    builder.command("show", under=actions)
    builder.command("delete", under=actions)
    parser = builder.command("rotate", under=actions)
    builder.option(parser, "--secret-file", type=Path, required=True, metavar="FILE")
    builder.command("test", under=actions)
    parser = builder.command("deliveries", under=actions)
    builder.option(parser, "delivery_id", nargs="?", metavar="DELIVERY_ID")
    builder.option(parser, "--state", topic="--status", metavar="STATE")
    builder.option(parser, "--after", metavar="CURSOR")
    parser = builder.command("replay", under=actions)
    builder.option(parser, "delivery_id", nargs="?", metavar="DELIVERY_ID")
    builder.option(parser, "--from", dest="first", metavar="WHEN")
    builder.option(parser, "--to", dest="last", metavar="WHEN")


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise SettingsError("not-a-day", value=text) from error


def _publish(text: str) -> str:
    if text in ("auto", "manual"):
        return text
    try:
        return _day(text)
    except SettingsError as error:
        raise SettingsError("not-a-publish", value=text) from error


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text[:10])):
        raise SettingsError("not-positive", value=text)
    return int(text)


def _index(text: str) -> Path:
    if Path(text).suffix.lower() not in (".json", ".csv"):
        raise SettingsError("not-an-index", path=text)
    return Path(text)
