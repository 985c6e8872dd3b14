"""Finds the fields of a Cross Industry Invoice by path, and says where a bad one is."""

from ingestion.adapters.xml_reader import Element, text_of
from ingestion.domain import TEXT_LENGTH, UnreadableDepositError

NAMESPACES = {
    "rsm": "urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100",
    "ram": "urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100",
    "udt": "urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100",
}
DOCUMENT = "rsm:ExchangedDocument"
TRADE = "rsm:SupplyChainTradeTransaction"
AGREEMENT = f"{TRADE}/ram:ApplicableHeaderTradeAgreement"
SETTLEMENT = f"{TRADE}/ram:ApplicableHeaderTradeSettlement"
LINE = f"{TRADE}/ram:IncludedSupplyChainTradeLineItem"  # BG-25
LINE_NAME = "ram:SpecifiedTradeProduct/ram:Name"  # BT-153


def shortened(text: str, length: int = TEXT_LENGTH) -> str:
    """Return the words of `text` on one line, cut with an ellipsis at `length` characters."""
    words = " ".join(text.split())
    return words if len(words) <= length else words[: length - 1].rstrip() + "…"


def text_at(element: Element, path: str) -> str:
    """Return the whole text of the first element at `path`, empty if there is none."""
    found = element.find(path, NAMESPACES)
    return "" if found is None else text_of(found)


def required_text(root: Element, path: str, code: str, detail: str) -> str:
    """Return the text at `path`.

    Raises:
        UnreadableDepositError: with `code` and `detail`, when there is none.
    """
    text = text_at(root, path)
    if not text:
        raise refusal(path, code, detail)
    return text


def refusal(path: str, code: str, detail: str) -> UnreadableDepositError:
    """Return the error that points at `path`, from the root of the document."""
    return UnreadableDepositError(
        code=code, pointer=f"/rsm:CrossIndustryInvoice/{path}", detail=detail
    )
