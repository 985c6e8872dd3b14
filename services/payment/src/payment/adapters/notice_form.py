"""A notice read as a form, strictly: two readers of it must not see two different things."""

from collections.abc import Mapping
from re import Pattern
from urllib.parse import parse_qsl

from payment.ports import MalformedNoticeError, RawNotice

MAXIMUM_FIELDS = 200


def form_text(raw: RawNotice) -> str:
    """Return the form of a notice that may come by POST or by GET.

    Raises:
        MalformedNoticeError: there is none, there are two, or it is not ASCII.
    """
    if bool(raw.body) is bool(raw.query):
        message = "not one form"
        raise MalformedNoticeError(message)
    if raw.body:
        return body_text(raw)
    if not raw.query.isascii():
        message = "not a form"
        raise MalformedNoticeError(message)
    return raw.query


def body_text(raw: RawNotice) -> str:
    """Return the form that a notice carries in its body.

    Raises:
        MalformedNoticeError: it is not ASCII, as a form that travels is.
    """
    try:
        return raw.body.decode("ascii")
    except UnicodeDecodeError as error:
        message = "not a form"
        raise MalformedNoticeError(message) from error


def read_pairs(text: str, encoding: str = "utf-8") -> list[tuple[str, str]]:
    """Return the fields of a form in their order.

    Raises:
        MalformedNoticeError: it is no form, or a field comes twice.
    """
    try:
        pairs = parse_qsl(
            text,
            keep_blank_values=True,
            strict_parsing=True,
            encoding=encoding,
            errors="strict",
            max_num_fields=MAXIMUM_FIELDS,
        )
    except ValueError as error:
        message = "not a form"
        raise MalformedNoticeError(message) from error
    if len(dict(pairs)) != len(pairs):
        message = "a field comes twice"
        raise MalformedNoticeError(message)
    return pairs


def require_shapes(fields: Mapping[str, str], shapes: Mapping[str, Pattern[str]]) -> None:
    """Check the fields that count.

    Raises:
        MalformedNoticeError: names those that are missing or have another shape.
    """
    wrong = [name for name, shape in shapes.items() if not shape.fullmatch(fields.get(name, "!"))]
    if wrong:
        raise MalformedNoticeError("missing or misshapen: " + ", ".join(wrong))
