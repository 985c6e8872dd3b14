"""The file by which an operator sets authorities and people, and all that is wrong in one."""

import re
import types
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from gateway.adapters.totp import is_secret
from gateway.appearance_file import problems_of_appearance, problems_of_other_means
from gateway.ports.appearance import Appearance, Contact, OtherMeans
from shared.errors import SettingsError
from shared.events.authority_configured import Regie

Scope = Literal["deposits:write", "deposits:read", "collections:read", "webhooks:write"]
Password = Annotated[str, msgspec.Meta(min_length=12, max_length=200)]
Email = Annotated[
    str, msgspec.Meta(max_length=254, pattern=r"^[^\s@,;<>]+@[^\s@,;<>]+\.[^\s@,;<>.]+$")
]
FEWEST_CHARACTERS_OF_SECRET = 10
_TOPIC_PART = re.compile(r"[A-Za-z0-9_-]{3,100}")


class RegieEntry(Regie, frozen=True, kw_only=True, omit_defaults=True):
    """A régie, and what only the portal tells of it: who answers, how else it is paid."""

    contact: Contact | None = None
    other_means: OtherMeans | None = None


class AuthorityEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An authority and its régies."""

    authority: Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9-]{1,62}$")]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    regies: Annotated[tuple[RegieEntry, ...], msgspec.Meta(min_length=1)]
    appearance: Appearance | None = None
    second_proof: bool = False
    """Whether number and sum are asked for before a paper's code shows the document (K9)."""


class BillerEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A billing application; its secret is 32 characters of chance or more.

    With `kafka` it may also deposit on the topic `biller.deposited.CLIENT_ID`, to which the broker
    must let nobody else write.
    """

    client_id: Annotated[str, msgspec.Meta(pattern=r"^[!-9;-~]{3,100}$")]
    client_secret: Annotated[str, msgspec.Meta(pattern=r"^[!-~]{32,200}$")]
    authority: str
    regies: tuple[str, ...]
    scopes: Annotated[tuple[Scope, ...], msgspec.Meta(min_length=1)]
    kafka: bool = False


class AgentEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An agent of an authority; with `totp_secret` their application needs no first login."""

    login: Annotated[str, msgspec.Meta(pattern=r"^\S{3,254}$")]
    password: Password
    authority: str
    totp_secret: Annotated[str, msgspec.Meta(pattern=r"^[A-Z2-7]{26,64}$")] | None = None


class CitizenEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A citizen's account; `verified` says that the address was proved elsewhere."""

    email: Email
    password: Password
    verified: bool = False


class TownFile(msgspec.Struct, frozen=True, kw_only=True):
    """All that a file sets."""

    authorities: tuple[AuthorityEntry, ...]
    billers: tuple[BillerEntry, ...] = ()
    agents: tuple[AgentEntry, ...] = ()
    citizens: tuple[CitizenEntry, ...] = ()


def read(content: bytes) -> TownFile:
    """Return what a file sets.

    Raises:
        SettingsError: lists every problem, each with its place (RFC 6901).
    """
    try:
        found = msgspec.json.decode(content)
    except msgspec.DecodeError as error:
        message = f"not JSON: {error}"
        raise SettingsError(message) from error
    problems = list(_problems(found, TownFile, ""))
    if not problems:
        town = msgspec.convert(found, TownFile)
        problems = list(_contradictions(town))
        if not problems:
            return town
    raise SettingsError("; ".join(problems))


def _problems(value: Any, kind: Any, place: str) -> Iterable[str]:  # noqa: ANN401 - decoded JSON
    """Yield what is wrong with a value: msgspec alone stops at the first."""
    if get_origin(kind) is Annotated:
        yield from _problems_of_annotated(value, kind, place)
    elif get_origin(kind) in (Union, types.UnionType):
        kinds = [member for member in get_args(kind) if member is not type(None)]
        if value is not None:
            yield from _problems(value, kinds[0], place)
    elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield from _problems_of_struct(value, kind, place)
    elif get_origin(kind) is tuple and isinstance(value, list):
        for position, member in enumerate(value):
            yield from _problems(member, get_args(kind)[0], f"{place}/{position}")
    else:
        yield from _own_problem(value, kind, place)


def _problems_of_annotated(value: Any, kind: Any, place: str) -> Iterable[str]:  # noqa: ANN401
    inner = get_args(kind)[0]
    if get_origin(inner) is tuple and isinstance(value, list):
        if not value:
            yield f"{place}: is empty"
        yield from _problems(value, inner, place)
    else:
        yield from _own_problem(value, kind, place)


def _problems_of_struct(
    value: Any,  # noqa: ANN401
    kind: type[msgspec.Struct],
    place: str,
) -> Iterable[str]:
    if not isinstance(value, dict):
        yield f"{place or '/'}: is not an object"
        return
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    for name in value:
        if name not in fields:
            yield f"{place}/{name}: is unknown"
    for name, field in fields.items():
        if name in value:
            yield from _problems(value[name], field.type, f"{place}/{name}")
        elif field.required:
            yield f"{place}/{name}: is missing"


def _own_problem(value: Any, kind: Any, place: str) -> Iterable[str]:  # noqa: ANN401
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        yield f"{place}: {error}"


def _contradictions(town: TownFile) -> Iterable[str]:
    """Yield what is well formed and yet cannot be meant."""
    for place, names in {
        "/authorities": [entry.authority for entry in town.authorities],
        "/billers": [biller.client_id for biller in town.billers],
        "/agents": [agent.login.lower() for agent in town.agents],
        "/citizens": [citizen.email.lower() for citizen in town.citizens],
    }.items():
        for name in _repeated(names):
            yield f"{place}: {name} comes twice"
    for position, entry in enumerate(town.authorities):
        for code in _repeated([regie.code for regie in entry.regies]):
            yield f"/authorities/{position}/regies: {code} comes twice"
        yield from _problems_of_look(entry, f"/authorities/{position}")
    regies = {entry.authority: {regie.code for regie in entry.regies} for entry in town.authorities}
    for position, biller in enumerate(town.billers):
        yield from _contradictions_of_biller(biller, regies, f"/billers/{position}")
    for position, agent in enumerate(town.agents):
        if agent.authority not in regies:
            yield f"/agents/{position}/authority: {agent.authority} is not among the authorities"
        if agent.totp_secret is not None and not is_secret(agent.totp_secret):
            yield f"/agents/{position}/totp_secret: is not base32 of 128 bits or more"


def _problems_of_look(entry: AuthorityEntry, place: str) -> Iterable[str]:
    if entry.appearance is not None:
        yield from problems_of_appearance(entry.appearance, f"{place}/appearance")
    for position, regie in enumerate(entry.regies):
        if regie.other_means is not None:
            yield from problems_of_other_means(
                regie.other_means, f"{place}/regies/{position}/other_means"
            )


def _contradictions_of_biller(
    biller: BillerEntry, regies: Mapping[str, set[str]], place: str
) -> Iterable[str]:
    if biller.authority not in regies:
        yield f"{place}/authority: {biller.authority} is not among the authorities"
    else:
        for code in sorted(set(biller.regies) - regies[biller.authority]):
            yield f"{place}/regies: {code} is not a régie of {biller.authority}"
    if biller.kafka and not _TOPIC_PART.fullmatch(biller.client_id):
        yield f"{place}/client_id: only letters, digits, - and _ may name a topic"
    if len(set(biller.client_secret)) < FEWEST_CHARACTERS_OF_SECRET:
        yield f"{place}/client_secret: is not drawn by chance"


def _repeated(names: list[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]
