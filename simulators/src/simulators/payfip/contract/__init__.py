"""The service's description (WSDL) and its schemas, with the address at which they were asked."""

from importlib import resources
from string import Template

SCHEMAS = {"1": "service.xsd", "2": "requests.xsd", "3": "answers.xsd"}
"""Which file answers `?xsd=N`: the service's elements, the types asked, the types answered."""


def description(address: str) -> str:
    """Return the WSDL of the service at `address`; its schemas are at `address?xsd=1` to `3`."""
    return _filled("service.wsdl", address)


def schema(number: str, address: str) -> str | None:
    """Return the schema of that number, or None when there is none."""
    name = SCHEMAS.get(number)
    return None if name is None else _filled(name, address)


def _filled(name: str, address: str) -> str:
    text = resources.files(__name__).joinpath(name).read_text("utf-8")
    return Template(text).substitute(address=address)
