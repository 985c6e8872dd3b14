"""Carries the commands out: from what the command line says to an exit code."""

import argparse
import contextlib
import getpass
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from quittance_client import body, documents, outcomes, profile, state
from quittance_client.arguments import parser_for
from quittance_client.deposits import Asked, Depositor, Verdict, verdict
from quittance_client.documents import Document
from quittance_client.doors import Call, Doors
from quittance_client.errors import ClientError, RefusedError, SettingsError
from quittance_client.feed import BEGINNING, Feed
from quittance_client.pace import Pace
from quittance_client.paper import Printer, paperless
from quittance_client.screen import Screen, error_document
from quittance_client.state import State
from quittance_client.webhooks import HIDDEN, SECRET, Webhooks
from quittance_client.words import Words, language_of

OK = 0
FAILED = 2
INTERRUPTED = 130


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a run has around it; tests hand in their own."""

    environment: Mapping[str, str]
    out: TextIO
    err: TextIO
    input: TextIO
    pace: Pace = field(default_factory=Pace)
    read_secret: Callable[[str], str] = getpass.getpass


def run(arguments: Sequence[str], around: Surroundings) -> int:
    """Run one command and return its exit code.

    0 all is well, 1 some lines were rejected, 2 it failed or was refused, 130 it was interrupted.
    """
    words = Words(language_of(around.environment))
    screen = Screen(around.out, around.err, words, is_json="--json" in arguments)
    options: argparse.Namespace | None = None
    try:
        options = parser_for(words).parse_args(arguments)
        return _Commands(options, around, screen).run()
    except ClientError as error:
        screen.error(error)
        return FAILED
    except KeyboardInterrupt:
        if options is not None and options.command == "collections":
            return OK
        screen.note("interrupted")
        return INTERRUPTED


class _Commands:
    """The commands, over what one run needs."""

    def __init__(self, options: argparse.Namespace, around: Surroundings, screen: Screen) -> None:
        self._options = options
        self._around = around
        self._screen = screen
        self._kept = State(state.state_path(around.environment))

    def run(self) -> int:
        name = self._options.command
        if name == "configure":
            return self._configure()
        commands: dict[str, Callable[[Doors], int]] = {
            "deposit": self._deposit,
            "status": self._status,
            "lines": self._lines,
            "preview": self._preview,
            "release": self._decide,
            "cancel": self._decide,
            "print": self._print,
            "print-run": self._print_run,
            "paperless": self._paperless,
            "withdraw": self._withdraw,
            "collections": self._collections,
            "totals": self._totals,
            "webhook": self._webhook,
        }
        with self._doors() as doors:
            return commands[name](doors)

    @contextlib.contextmanager
    def _doors(self) -> Iterator[Doors]:
        chosen = profile.load(
            self._around.environment,
            profile=self._options.profile,
            url=self._options.url,
            endpoints=self._options.endpoints,
        )
        with Doors(chosen, self._around.pace, self._tell_wait) as doors:
            yield doors

    def _tell_wait(self, seconds: float, reason: str) -> None:
        self._screen.note("waiting", seconds=f"{seconds:.1f}", reason=reason)

    def _configure(self) -> int:
        options, ask = self._options, self._ask
        url = options.url
        if url is None and not (options.deposits_url or options.token_url):
            url = ask("ask-url")
        settings = {"url": url} if url else {}
        if not url:
            for name in profile.URLS:
                settings[name] = getattr(options, name) or ask(f"ask-{name.replace('_', '-')}")
        settings["client_id"] = options.client_id or ask("ask-client-id")
        if options.secret_command:
            settings["secret_command"] = options.secret_command
        elif options.secret_stdin:
            settings["client_secret"] = self._around.input.readline().rstrip("\r\n")
        else:
            prompt = self._screen.words("ask-secret")
            settings["client_secret"] = self._around.read_secret(prompt)
        if options.ca_file:
            settings["ca_file"] = options.ca_file
        path = profile.config_path(self._around.environment)
        name = options.profile or profile.DEFAULT_PROFILE
        profile.keep(path, name, settings)
        self._screen.say("profile-kept", profile=name, path=path)
        if self._screen.is_json:
            self._screen.document({"profile": name, "path": str(path)})
        return OK

    def _ask(self, slug: str) -> str:
        self._around.err.write(self._screen.words(slug))
        self._around.err.flush()
        return self._around.input.readline().strip()

    def _depositor(self, doors: Doors) -> Depositor:
        return Depositor(doors, self._kept, self._screen, self._around.pace)

    def _deposit(self, doors: Doors) -> int:
        options = self._options
        if options.companions and len(options.files) > 1:
            raise SettingsError("with-one-file")
        if options.key and len(options.files) > 1:
            raise SettingsError("key-one-file")
        asked = Asked(
            regie=options.regie,
            version=options.version,
            publish=options.publish,
            is_dry_run=options.dry_run,
            key=options.key,
            is_anew=options.again,
        )
        depositor = self._depositor(doors)
        worst = Verdict.ACCEPTED
        with contextlib.ExitStack() as stack:
            report = (
                stack.enter_context(outcomes.Report(options.report)) if options.report else None
            )
            for path in options.files:
                found = body.from_path(path, options.companions)
                try:
                    deposit = depositor.deposit(found, asked, wait=options.wait)
                    self._tell_deposit(depositor, found.name, deposit, report)
                    worst = max(worst, verdict(deposit))
                except RefusedError as error:
                    # The other files are other deposits: they are not to blame.
                    self._tell_refusal(found.name, error)
                    worst = Verdict.FAILED
        if options.report:
            self._screen.say("written", path=options.report)
        return worst

    def _tell_deposit(
        self,
        depositor: Depositor,
        name: str,
        deposit: Document,
        report: outcomes.Report | None,
    ) -> None:
        deposit_id = documents.text(deposit, "deposit_id")
        is_done = deposit.get("status") == "done"
        rejected: list[Document] = []
        if is_done and deposit.get("rejected"):
            rejected = list(depositor.lines(deposit_id, "rejected"))
        if is_done and report is not None:
            report.add(name, deposit_id, depositor.lines(deposit_id))
        if self._screen.is_json:
            self._screen.document({"file": name, **deposit, "rejected_lines": rejected})
        elif is_done or deposit.get("status") == "failed":
            outcomes.tell(self._screen, name, deposit, rejected)
        else:
            self._screen.say("taken", name=name, deposit_id=deposit_id)

    def _tell_refusal(self, name: str, error: RefusedError) -> None:
        if self._screen.is_json:
            told = error_document(error, self._screen.words)
            self._screen.document({"file": name, "error": told})
        else:
            self._screen.error(error)

    def _status(self, doors: Doors) -> int:
        deposit = self._depositor(doors).get(self._options.deposit_id)
        self._screen.show(deposit)
        return verdict(deposit)

    def _lines(self, doors: Doors) -> int:
        found = self._depositor(doors).lines(self._options.deposit_id, self._options.status)
        if self._screen.is_json:
            for line in found:
                self._screen.document(line)
            return OK
        lines = list(found)
        if lines:
            self._screen.table(("position", "status", *outcomes.LINE_COLUMNS[1:]), lines)
        else:
            self._screen.say("nothing")
        return OK

    def _preview(self, doors: Doors) -> int:
        options = self._options
        path = f"deposits/{options.deposit_id}/preview"
        if (options.position is None) != (options.output is None):
            raise SettingsError("needs-position")
        if options.output is not None:
            return self._fetch(doors, f"{path}/{options.position}.pdf", options.output)
        url = f"{doors.profile.deposits_url}/v1/{path}"
        outcomes.tell_preview(self._screen, doors.ask(Call(method="GET", url=url)))
        return OK

    def _decide(self, doors: Doors) -> int:
        url = f"{doors.profile.deposits_url}/v1/deposits/{self._options.deposit_id}"
        call = Call(method="POST", url=f"{url}/{self._options.command}", may_repeat=False)
        answer = doors.ask(call)
        self._screen.say("done")
        if self._screen.is_json:
            self._screen.document(answer)
        return OK

    def _withdraw(self, doors: Doors) -> int:
        url = f"{doors.profile.deposits_url}/v1/invoices/{self._options.invoice_id}/withdraw"
        call = Call(method="POST", url=url, json={"reason": self._options.reason}, may_repeat=False)
        self._screen.show(doors.ask(call))
        return OK

    def _print(self, doors: Doors) -> int:
        path = f"invoices/{self._options.invoice_id}/print.pdf"
        return self._fetch(doors, path, self._options.output)

    def _print_run(self, doors: Doors) -> int:
        path = f"deposits/{self._options.deposit_id}/print-run"
        query = {"duplex": "true"} if self._options.duplex else {}
        code = self._fetch(doors, f"{path}.pdf", self._options.output, query)
        index: Path | None = self._options.index
        if index is not None:
            self._fetch(doors, path + index.suffix.lower(), index, query)
        return code

    def _fetch(
        self, doors: Doors, path: str, target: Path, query: Mapping[str, str] | None = None
    ) -> int:
        Printer(doors, self._screen, self._around.pace).fetch(path, target, query or {})
        self._screen.say("written", path=target)
        if self._screen.is_json:
            self._screen.document({"path": str(target), "size_bytes": target.stat().st_size})
        return OK

    def _paperless(self, doors: Doors) -> int:
        self._screen.lines("reference", paperless(doors))
        return OK

    def _feed(self, doors: Doors) -> Feed:
        return Feed(doors, self._kept, self._screen, self._around.pace)

    def _collections(self, doors: Doors) -> int:
        options = self._options
        self._feed(doors).read(
            "json" if self._screen.is_json else options.format,
            after=BEGINNING if options.from_start else options.after,
            is_followed=options.follow,
            is_acknowledged=options.acknowledge,
        )
        return OK

    def _totals(self, doors: Doors) -> int:
        totals = self._feed(doors).totals(self._options.first, self._options.last)
        outcomes.tell_totals(self._screen, totals)
        return OK

    def _webhook(self, doors: Doors) -> int:
        options, webhooks = self._options, Webhooks(doors)
        action = options.action
        if action == "set":
            answer = webhooks.set(
                options.webhook_url, options.regies, options.since, options.secret_file
            )
        elif action == "rotate":
            answer = webhooks.rotate(options.secret_file)
        elif action == "delete":
            answer = webhooks.delete()
        elif action == "test":
            answer = webhooks.test()
        elif action == "deliveries":
            answer = self._deliveries(webhooks)
        elif action == "replay":
            answer = self._replay(webhooks)
        else:
            answer = webhooks.show()
        self._screen.show(answer)
        if answer.get(SECRET) == HIDDEN:
            self._screen.note("secret-kept", path=options.secret_file)
        return OK

    def _deliveries(self, webhooks: Webhooks) -> Document:
        options = self._options
        if options.delivery_id is not None:
            return webhooks.delivery(options.delivery_id)
        asked = {"state": options.state, "after": options.after}
        return webhooks.deliveries({k: v for k, v in asked.items() if v is not None})

    def _replay(self, webhooks: Webhooks) -> Document:
        options = self._options
        if options.delivery_id is not None:
            return webhooks.replay_one(options.delivery_id)
        if options.first is None or options.last is None:
            raise SettingsError("needs-period")
        return webhooks.replay(options.first, options.last)
