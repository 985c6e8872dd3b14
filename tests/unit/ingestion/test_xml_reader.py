"""XML from outside is read whole or refused: nothing is fetched, expanded or cut."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.adapters.xml_reader import (
    MAXIMUM_ATTRIBUTES,
    MAXIMUM_DEPTH,
    MAXIMUM_TAGS,
    parse,
    schema_fault,
    text_of,
)
from ingestion.domain import UnreadableDepositError

BILLION_LAUGHS = (
    '<!DOCTYPE a [<!ENTITY b0 "ha">'
    + "".join(f'<!ENTITY b{n} "&b{n - 1};&b{n - 1};">' for n in range(1, 40))
    + "]><a>&b39;</a>"
)


def code_of(body: bytes) -> str:
    """Return the code of the refusal of `body`."""
    with pytest.raises(UnreadableDepositError) as caught:
        parse(body)
    return caught.value.code


@pytest.mark.parametrize(
    "document",
    [
        "<!DOCTYPE a><a/>",
        '<?xml version="1.0"?>\n<!-- before --> <?target words?>\n<!DOCTYPE a []><a/>',
        BILLION_LAUGHS,
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "http://127.0.0.1:9/x">]><a>&x;</a>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><a/>',
        '<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1:9/x"> %x;]><a/>',
        '<!DOCTYPE a [<!ATTLIST a amount CDATA "1.00">]><a/>',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_refuses_every_doctype(document: str, encoding: str) -> None:
    """No invoice needs one, harmless or not, in whatever encoding it hides."""
    body = document.encode(encoding)

    code = code_of(body)

    assert code == "doctype"


def test_a_doctype_in_a_comment_is_only_words() -> None:
    """What is no declaration is not refused as one."""
    body = b"<!-- <!DOCTYPE a> --><a><!-- <!DOCTYPE a> --><![CDATA[<!DOCTYPE a>]]></a>"

    root = parse(body)

    assert text_of(root) == "<!DOCTYPE a>"


@pytest.mark.parametrize(
    "inside",
    ["10<!-- -->0.00", "1<?cut?>00.00", "<![CDATA[10]]>0.00", " \n100.00\t", "&#49;00.00"],
)
def test_reads_an_amount_whole_however_it_is_cut(inside: str) -> None:
    """A comment in the middle must not turn 100.00 into 10."""
    root = parse(f"<a>{inside}</a>".encode())

    text = text_of(root)

    assert text == "100.00"


@pytest.mark.parametrize(
    ("document", "encoding"),
    [
        ("<a>é€</a>", "utf-8"),
        ("<a>é€</a>", "utf-8-sig"),
        ('<?xml version="1.0" encoding="utf-8"?><a>é€</a>', "utf-8-sig"),
        ("<a>é€</a>", "utf-16"),
        ('<?xml version="1.0" encoding="UTF-16"?><a>é€</a>', "utf-16"),
        ("<?xml version='1.0' encoding = 'iso-8859-15' standalone='yes'?><a>é€</a>", "iso8859-15"),
        ('<?xml version="1.0" encoding="Windows-1252"?><a>é€</a>', "cp1252"),
    ],
)
def test_reads_the_encodings_that_billing_software_writes(document: str, encoding: str) -> None:
    """Accents arrive exact, by mark or by declaration."""
    root = parse(document.encode(encoding))

    text = text_of(root)

    assert text == "é€"


@pytest.mark.parametrize(
    "body",
    [
        "<a>é</a>".encode("latin-1"),
        '<?xml version="1.0" encoding="UTF-8"?><a>é</a>'.encode("latin-1"),
        b'<?xml version="1.0" encoding="UTF-7"?><a>+ADw-!DOCTYPE</a>',
        b'<?xml version="1.0" encoding="UTF-16"?><a/>',
        b'<?xml version="1.0" encoding="UTF-8_W/O_BOM"?><a/>',
        b'<?xml version="1.0" encoding="x\x00y"?><a/>',
        b'\xef\xbb\xbf<?xml version="1.0" encoding="ISO-8859-1"?><a/>',
        '<?xml version="1.0" encoding="UTF-8"?><a/>'.encode("utf-16"),
        "<a/>".encode("utf-16")[:-1],
    ],
)
def test_refuses_bytes_that_are_not_in_the_encoding_declared(body: bytes) -> None:
    """A guess would lose an accent or let tags through unseen."""
    code = code_of(body)

    assert code == "xml_encoding"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"%PDF-1.7",
        b"<a>",
        b"<a/><b/>",
        b"<a>&nbsp;</a>",
        b"<a>\x00</a>",
        b"<!doctype a><a/>",
        b"<!-- <a/>",
        b"<a b='1' b='2'/>",
        "<a>é</a>".encode("utf-32"),
    ],
)
def test_refuses_what_is_not_well_formed(body: bytes) -> None:
    """The parser mends nothing."""
    code = code_of(body)

    assert code == "unreadable_xml"


def test_goes_as_deep_as_the_limit_and_no_deeper() -> None:
    """Depth is bounded before anything walks the tree."""
    depth = MAXIMUM_DEPTH
    deepest = b"<a>" * depth + b"</a>" * depth
    deeper = b"<a>" * (depth + 1) + b"</a>" * (depth + 1)

    root = parse(deepest)
    code = code_of(deeper)

    assert sum(1 for _ in root.iter()) == depth
    assert code == "xml_too_deep"


def test_refuses_a_hundred_thousand_levels() -> None:
    """The parser gives up by itself long before its stack does."""
    body = b"<a>" * 100_000 + b"</a>" * 100_000

    code = code_of(body)

    assert code == "unreadable_xml"


@pytest.mark.parametrize(
    "body",
    [
        b'<a b="' + b"x" * 11_000_000 + b'"/>',
        b"<a>" + b"<b/>" * MAXIMUM_TAGS + b"</a>",
        b"<a>" + b'<b c=""/>' * (MAXIMUM_ATTRIBUTES + 1) + b"</a>",
    ],
)
def test_refuses_what_would_fill_the_memory(body: bytes) -> None:
    """Bytes, tags and attributes are counted before the tree is built."""
    code = code_of(body)

    assert code == "xml_too_large"


def test_the_caller_may_ask_for_less() -> None:
    """A format with small files has a smaller limit."""
    body = b"<a>12345</a>"

    with pytest.raises(UnreadableDepositError) as caught:
        parse(body, limit_bytes=len(body) - 1)

    assert caught.value.code == "xml_too_large"


def test_says_where_a_document_leaves_its_schema(tmp_path: Path) -> None:
    """The path and the line lead the biller to the element."""
    schema = tmp_path / "a.xsd"
    schema.write_text(
        '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">'
        '<xs:element name="a"><xs:complexType>'
        '<xs:sequence><xs:element name="b" type="xs:decimal"/></xs:sequence></xs:complexType>'
        "</xs:element></xs:schema>"
    )

    sound = schema_fault(parse(b"<a>\n<b>1.5</b></a>"), schema)
    fault = schema_fault(parse(b"<a>\n<b>x</b></a>"), schema)

    assert sound is None
    assert fault is not None
    assert (fault.path, fault.line) == ("/a/b", 2)


@given(st.binary() | st.text("<>!-?/a&;'\"= \n[]xmlDOCTYPE").map(str.encode))
def test_no_bytes_do_worse_than_being_refused(body: bytes) -> None:
    """Whatever comes, the answer is a tree or our own error."""
    try:
        name = str(parse(body).tag)
    except UnreadableDepositError as error:
        name = error.code

    assert name
