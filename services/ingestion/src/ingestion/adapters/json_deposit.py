"""Reads a JSON deposit, `{"invoices": [...]}`, strictly and line by line (RFC 8259)."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import msgspec

from ingestion.domain import DepositBody, InvoiceDraft, Rejection, UnreadableDepositError
from ingestion.ports import Entry, ReadingContext

MAXIMUM_BODY_BYTES = 16 * 1024 * 1024
MAXIMUM_INVOICES = 10_000

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_OPENING = re.compile(rb'[ \t\r\n]*\{[ \t\r\n]*"invoices"[ \t\r\n]*:[ \t\r\n]*')
_CLOSING = re.compile(rb"[ \t\r\n]*\}[ \t\r\n]*")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_LONE_SURROGATE = re.compile(
    rb"(?P<kept>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\[^u])"
    rb"|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
_PLACE = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_STEP = re.compile(r"\.(?P<field>\w+)|\[(?P<index>\d+)\]")
_FIELD = re.compile(r"field `(?P<field>.*)`", re.DOTALL)
_SHOWN_FIELD = re.compile(r"[\w./~-]{1,64}")

_MESSAGES = {
    "missing_field": "Ce champ est obligatoire.",
    "unknown_field": "Ce champ n’existe pas.",
    "wrong_type": "Ce champ n’est pas du type attendu ; un montant est un entier de centimes.",
    "invalid_date": "La date n’existe pas ou n’est pas de la forme AAAA-MM-JJ.",
    "invalid_value": "Cette valeur n’est pas une de celles admises.",
    "out_of_range": "Ce nombre est trop grand.",
    "duplicate_key": "Ce champ est écrit deux fois.",
    "malformed_json": "Cette facture n’est pas du JSON correct.",
}


class _Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    invoices: msgspec.Raw


class _Pairs(list[tuple[str, object]]):
    """A JSON object as written, so that a key met twice is still there twice."""


class _DuplicateKeyError(Exception):
    """An object of the text has the same key twice."""


_envelope_decoder = msgspec.json.Decoder(_Envelope)
_list_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_draft_decoder = msgspec.json.Decoder(InvoiceDraft)


def read_file(file: BinaryIO, _context: ReadingContext) -> Iterator[Entry]:
    """Yield the lines of `{"invoices": [...]}`; see `read` for what is refused.

    Raises:
        UnreadableDepositError: what `read` refuses.
    """
    body = read(file.read(MAXIMUM_BODY_BYTES + len(_BYTE_ORDER_MARK) + 1))
    for index, found in enumerate(body.lines):
        place = f"/invoices/{index}"
        yield Entry(
            place=place,
            found=msgspec.structs.replace(found, pointer=found.pointer.removeprefix(place))
            if isinstance(found, Rejection)
            else found,
        )


def read(body: bytes) -> DepositBody:
    """Return one draft or one rejection for each invoice of the deposit, in its order.

    A rejection's pointer starts at the body, such as `/invoices/3/amount_cents`. Amounts are JSON
    integers only; a key written twice, an unknown field or a wrong type costs its line and no
    other. A leading UTF-8 byte order mark is ignored, as RFC 8259 section 8.1 allows.

    Raises:
        UnreadableDepositError: `body_too_large`, `not_utf8`, `malformed_json`, `too_deep`,
            `not_an_object`, `missing_invoices`, `unknown_field`, `duplicate_key`, `no_invoices`,
            `too_many_invoices`: nothing of the deposit can be taken.
    """
    if len(body) > MAXIMUM_BODY_BYTES:
        raise UnreadableDepositError(
            code="body_too_large", pointer="", detail="Le dépôt dépasse 16 Mio."
        )
    text = body.removeprefix(_BYTE_ORDER_MARK)
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise UnreadableDepositError(
            code="not_utf8", pointer="", detail="Le dépôt n’est pas en UTF-8."
        ) from error
    lines = _split(without_lone_surrogates(text))
    return DepositBody(
        lines=tuple(_read_line(raw, f"/invoices/{index}") for index, raw in enumerate(lines))
    )


def without_lone_surrogates(text: bytes) -> bytes:
    """Return `text` with U+0000 for each escape that is half a character.

    Such an escape is JSON by its grammar but no text, and the decoder would refuse the whole body
    for it. U+0000 is no text either: `domain.validate` refuses it, in the field where it is.
    """
    if not _SURROGATE.search(text):
        return text
    return _LONE_SURROGATE.sub(lambda match: match["kept"] or b"\\u0000", text)


def _split(text: bytes) -> list[msgspec.Raw]:
    """Return the invoices as written, or raise for a body that is not a list of invoices."""
    try:
        invoices = bytes(_envelope_decoder.decode(text).invoices)
        _refuse_second_list(text, len(invoices))
        lines = _list_decoder.decode(invoices)
    except msgspec.ValidationError as error:
        raise _envelope_error(str(error)) from error
    except ValueError as error:
        raise UnreadableDepositError(
            code="malformed_json", pointer="", detail="Le dépôt n’est pas du JSON correct."
        ) from error
    except RecursionError as error:
        raise UnreadableDepositError(
            code="too_deep", pointer="", detail="Le dépôt imbrique trop d’objets ou de listes."
        ) from error
    if not lines:
        raise UnreadableDepositError(
            code="no_invoices", pointer="/invoices", detail="Le dépôt est vide."
        )
    if len(lines) > MAXIMUM_INVOICES:
        raise UnreadableDepositError(
            code="too_many_invoices",
            pointer="/invoices",
            detail="Un dépôt compte 10 000 factures au plus.",
        )
    return lines


def _envelope_error(message: str) -> UnreadableDepositError:
    if message.startswith("Object missing"):
        return UnreadableDepositError(
            code="missing_invoices",
            pointer="/invoices",
            detail="Le dépôt n’a pas de liste `invoices`.",
        )
    if message.startswith("Object contains unknown"):
        rejection = _rejection(message, "")
        return UnreadableDepositError(rejection.code, rejection.pointer, rejection.message)
    if message.startswith("Expected `array`"):
        return UnreadableDepositError(
            code="missing_invoices", pointer="/invoices", detail="`invoices` n’est pas une liste."
        )
    return UnreadableDepositError(
        code="not_an_object", pointer="", detail="Le dépôt n’est pas un objet JSON."
    )


def _refuse_second_list(text: bytes, invoices_bytes: int) -> None:
    """Refuse a body with `invoices` twice, of which a JSON reader keeps only the last.

    The only key allowed is `invoices`, so a body written once is its opening, the list, its
    closing and nothing else: comparing lengths avoids reading the whole body a second time.
    """
    opening = _OPENING.match(text)
    if opening and _CLOSING.fullmatch(text, opening.end() + invoices_bytes):
        return
    # Also met by a key written with escapes, which is legal: only then is the body read again.
    if _duplicate_in(text):
        raise UnreadableDepositError(
            code="duplicate_key",
            pointer="/invoices",
            detail="La liste `invoices` est écrite deux fois.",
        )


def _read_line(raw: msgspec.Raw, pointer: str) -> InvoiceDraft | Rejection:
    return read_invoice(bytes(raw), pointer)


def read_invoice(line: bytes, pointer: str) -> InvoiceDraft | Rejection:
    """Return the invoice that a JSON object describes, or its refusal, its pointer under `pointer`.

    `line` is UTF-8 without half characters (`without_lone_surrogates`).
    """
    try:
        draft = _draft_decoder.decode(line)
        if _may_have_duplicate(line) and _has_duplicate(line):
            return _refuse("duplicate_key", pointer + (_duplicate_in(line) or ""))
    except msgspec.ValidationError as error:
        return _rejection(str(error), pointer)
    # The list was split without building its values, so some faults show only here.
    except (ValueError, RecursionError):
        return _refuse("malformed_json", pointer)
    return draft


def _rejection(message: str, prefix: str) -> Rejection:
    """Return the refusal that a decoder's message stands for; its text itself is not repeated."""
    place = _PLACE.search(message)
    path = place["path"] if place else ""
    reason = message[: place.start()] if place else message
    pointer = prefix + "".join(
        f"/{step['field'] or step['index']}" for step in _STEP.finditer(path)
    )
    if reason.startswith(("Object missing", "Object contains unknown")):
        field = _FIELD.search(reason)
        code = "missing_field" if reason.startswith("Object missing") else "unknown_field"
        # A field name comes from outside: it is shown only when it is harmless.
        if field and _SHOWN_FIELD.fullmatch(field["field"]):
            pointer += f"/{_escape(field['field'])}"
        return _refuse(code, pointer)
    if reason.startswith("Expected"):
        return _refuse("wrong_type", pointer)
    if reason.startswith("Invalid RFC3339"):
        return _refuse("invalid_date", pointer)
    if reason.startswith("Integer value out of range"):
        return _refuse("out_of_range", pointer)
    return _refuse("invalid_value", pointer)


def _refuse(code: str, pointer: str) -> Rejection:
    return Rejection(code=code, pointer=pointer, message=_MESSAGES[code])


def _escape(field: str) -> str:
    """Return a pointer's step as RFC 6901 section 3 writes it."""
    return field.replace("~", "~0").replace("/", "~1")


def _refuse_duplicates(pairs: list[tuple[str, object]]) -> None:
    if len({key for key, _ in pairs}) != len(pairs):
        raise _DuplicateKeyError


# Numbers stay text: their value is not looked at here, and Python limits the digits of an int.
_duplicate_check = json.JSONDecoder(object_pairs_hook=_refuse_duplicates, parse_int=str)
_pairs_decoder = json.JSONDecoder(object_pairs_hook=_Pairs, parse_int=str)


_KEY = re.compile(rb'"[ \t\r\n]*:')


def _may_have_duplicate(line: bytes) -> bool:
    """Say whether more keys may be written in `line` than are in the objects it decodes to.

    A key is followed by a colon, and so may be a quote inside a text: the count is never too small.
    It saves the slow look for a key written twice, for nearly every line.
    """
    return len(_KEY.findall(line)) != _count_keys(msgspec.json.decode(line))


def _count_keys(value: object) -> int:
    count = 0
    waiting = [value]
    while waiting:
        found = waiting.pop()
        members: Iterable[object] = ()
        if isinstance(found, dict):
            count += len(found)
            members = found.values()
        elif isinstance(found, list):
            members = found
        waiting += [member for member in members if isinstance(member, dict | list)]
    return count


def _has_duplicate(line: bytes) -> bool:
    """Say whether an object of `line`, already found correct, has a key twice."""
    try:
        _duplicate_check.decode(line.decode())
    except _DuplicateKeyError:
        return True
    return False


def _duplicate_in(text: bytes) -> str | None:
    """Return the pointer of the first key written twice in `text`, or None."""
    return _find_duplicate(_pairs_decoder.decode(text.decode()), "")


def _find_duplicate(value: object, pointer: str) -> str | None:
    members: Iterable[tuple[str, object]] = ()
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for key, _ in value:
            if key in seen:
                return f"{pointer}/{_escape(key)}"
            seen.add(key)
        members = value
    elif isinstance(value, list):
        members = ((str(index), member) for index, member in enumerate(value))
    for key, member in members:
        found = _find_duplicate(member, f"{pointer}/{_escape(key)}")
        if found is not None:
            return found
    return None
