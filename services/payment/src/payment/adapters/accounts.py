"""The accounts at the providers, with their keys: one JSON file, mounted as a secret."""

import ipaddress
from datetime import timedelta
from pathlib import Path
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

import msgspec

from payment.adapters.sealing import Row, open_secrets
from payment.domain import Closure, PartialPayment, Rules, Terms
from shared.errors import SettingsError

Key = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9]{8,128}(?![\s\S])")]
"""Letters and digits: a line end left by an editor would make every signature wrong.

`$` would let that line end pass; `(?![\\s\\S])` is the end of the text in every dialect.
"""
Passphrase = Annotated[str, msgspec.Meta(pattern=r"^[!-~]{16,128}(?![\s\S])")]
HexKey = Annotated[str, msgspec.Meta(pattern=r"^([0-9A-Fa-f]{2}){16,64}(?![\s\S])")]
Token = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{22,128}(?![\s\S])")]
MollieKey = Annotated[str, msgspec.Meta(pattern=r"^(test|live)_[A-Za-z0-9]{20,80}(?![\s\S])")]
PublicKey = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^-----BEGIN PUBLIC KEY-----\n[A-Za-z0-9+/=\n]+"
        r"-----END PUBLIC KEY-----\n?(?![\s\S])"
    ),
]
Url = Annotated[str, msgspec.Meta(pattern=r"^https?://[!-~]+(?![\s\S])", max_length=250)]
Contract = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{6}(?![\s\S])")]
Mode = Literal["TEST", "PRODUCTION"]

HIGHEST_CENTS = 99_999_999
PAYFIP_LOWEST_CENTS = 1_00
PAYFIP_HIGHEST_CENTS = 100_000_00
TIPI_HIGHEST_CENTS = 9_999_99
"""PayFiP takes from 1 EUR, and the form mode below 10 000 EUR (protocols §1)."""


class BaseAccount(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="provider"
):
    """What every account says, whatever the provider: whose money it takes, and on what terms.

    `regies` is None when it takes the money of every régie of the authority. An account that is not
    `active` starts no attempt; those that were started end on it.
    """

    account: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,60}(?![\s\S])")]
    authority: Annotated[str, msgspec.Meta(min_length=1)]
    regies: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] | None
    route: Literal["regie", "treasury"] = "regie"
    active: bool = True
    minimum_cents: Annotated[int, msgspec.Meta(ge=1)] | None = None
    maximum_cents: Annotated[int, msgspec.Meta(ge=1)] | None = None
    partial: PartialPayment = PartialPayment()
    closures: tuple[Closure, ...] = ()
    days_after_due: Annotated[int, msgspec.Meta(ge=0)] | None = None
    days_until_known: Annotated[int, msgspec.Meta(ge=0, le=30)] = 1

    routes: ClassVar[frozenset[str]] = frozenset({"regie"})
    lowest_cents: ClassVar[int] = 1
    highest_cents: ClassVar[int] = HIGHEST_CENTS
    can_be_asked: ClassVar[bool] = False
    needs_email: ClassVar[bool] = False
    session: ClassVar[timedelta] = timedelta(minutes=15)
    pause_between_attempts: ClassVar[timedelta] = timedelta()

    def __post_init__(self) -> None:
        """Compare the fields with each other.

        Raises:
            ValueError: two of them cannot stand together; the file is refused.
        """
        if self.route not in self.routes:
            message = f"route {self.route} is not one of {self.provider}"
            raise ValueError(message)
        if self.route == "treasury" and self.partial.allowed:
            message = "partial: a debt of the treasury is paid whole"
            raise ValueError(message)
        rules = self.rules
        if (
            not self.lowest_cents
            <= rules.minimum_cents
            <= rules.maximum_cents
            <= self.highest_cents
        ):
            message = "minimum_cents and maximum_cents are not between the provider's own limits"
            raise ValueError(message)
        for name in ("service_url", "page_url"):
            _require_safe(name, getattr(self, name, None))

    def __repr__(self) -> str:
        """Name the account and never its keys: this is what ends up in logs."""
        return f"{type(self).__name__}({self.account!r})"

    @property
    def provider(self) -> str:
        """Name of the provider, as addresses and events carry it."""
        return str(self.__struct_config__.tag)

    @property
    def rules(self) -> Rules:
        """What the account takes and how its provider behaves."""
        return Rules(
            minimum_cents=self.lowest_cents if self.minimum_cents is None else self.minimum_cents,
            maximum_cents=self.highest_cents if self.maximum_cents is None else self.maximum_cents,
            can_be_asked=self.can_be_asked,
            needs_email=self.needs_email,
            # A debt of the treasury has a reference of its own, and a call names one.
            takes_several=self.route == "regie",
            routes=frozenset({self.route}),
            session=self.session,
            pause_between_attempts=self.pause_between_attempts,
        )

    @property
    def terms(self) -> Terms:
        """What the authority decided for the account."""
        return Terms(
            partial=self.partial,
            closures=self.closures,
            days_after_due=self.days_after_due,
            days_until_known=self.days_until_known,
        )


class LyraShop(BaseAccount, frozen=True, kw_only=True, tag="lyra"):
    """A shop at PayZen or SystemPay; `previous_key` is still believed while a new one spreads."""

    site_id: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{8}(?![\s\S])")]
    key: Key
    previous_key: Key | None = None
    ctx_mode: Mode
    service_url: Url

    session: ClassVar[timedelta] = timedelta(minutes=10)


class _ModalAccount(BaseAccount, frozen=True, kw_only=True):
    """An account whose provider has one address for tests and one for real payments."""

    mode: Mode
    service_url: Url | None = None

    urls: ClassVar[dict[str, str]] = {}

    def __post_init__(self) -> None:
        """Compare the fields with each other.

        Raises:
            ValueError: two of them cannot stand together, or the address is that of the other mode.
        """
        BaseAccount.__post_init__(self)
        others = {url for mode, url in self.urls.items() if mode != self.mode}
        if self.service_url in others - {self.urls[self.mode]}:
            message = "service_url is that of the other mode"
            raise ValueError(message)

    @property
    def url(self) -> str:
        """Where the payer goes, or we ask."""
        return self.service_url or self.urls[self.mode]


class PayboxShop(_ModalAccount, frozen=True, kw_only=True, tag="paybox"):
    """A shop at Paybox or Up2Pay.

    `key` signs what we send. Notices are signed by Paybox's own key, the same for all shops:
    `public_key` replaces the one that eopayment ships. So a signature does not say whose shop it
    speaks of, and whoever has a shop could have a notice signed for an order of ours.
    `notify_token` tells them apart: it ends the notice address (`?token=…`) that is entered in
    Paybox's back office, and no payer sees that address. Real payments need it.
    """

    site: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{7}(?![\s\S])")]
    rang: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{2,3}(?![\s\S])")]
    identifiant: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,9}(?![\s\S])")]
    key: HexKey
    public_key: PublicKey | None = None
    previous_public_key: PublicKey | None = None
    notify_token: Token | None = None

    needs_email: ClassVar[bool] = True
    urls: ClassVar[dict[str, str]] = {
        "TEST": "https://preprod-tpeweb.paybox.com/php/",
        "PRODUCTION": "https://tpeweb.paybox.com/php/",
    }

    def __post_init__(self) -> None:
        """Compare the fields with each other.

        Raises:
            ValueError: two of them cannot stand together, or the token is missing.
        """
        _ModalAccount.__post_init__(self)
        if self.mode == "PRODUCTION" and self.notify_token is None:
            message = "notify_token is needed for real payments"
            raise ValueError(message)


class SipsShop(_ModalAccount, frozen=True, kw_only=True, tag="sips"):
    """A shop at Worldline Sips (Mercanet, Scellius, Sogenactif); both keys are believed."""

    merchant_id: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{15}(?![\s\S])")]
    key: Passphrase
    key_version: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,10}(?![\s\S])")] = "1"
    previous_key: Passphrase | None = None

    urls: ClassVar[dict[str, str]] = {
        "TEST": "https://payment-webinit.simu.sips-services.com/paymentInit",
        "PRODUCTION": "https://payment-webinit.sips-services.com/paymentInit",
    }


class OgoneShop(_ModalAccount, frozen=True, kw_only=True, tag="ogone"):
    """A shop at Ogone (Ingenico, Worldline Direct e-Commerce).

    `sha_in` signs what we send, `sha_out` what it sends. SHA-1, its default, is not taken.
    """

    pspid: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,30}(?![\s\S])")]
    sha_in: Passphrase
    sha_out: Passphrase
    previous_sha_out: Passphrase | None = None
    algorithm: Literal["sha256", "sha512"] = "sha512"

    session: ClassVar[timedelta] = timedelta(minutes=30)
    urls: ClassVar[dict[str, str]] = {
        "TEST": "https://secure.ogone.com/ncol/test/orderstandard.asp",
        "PRODUCTION": "https://secure.ogone.com/ncol/prod/orderstandard.asp",
    }


class MollieShop(_ModalAccount, frozen=True, kw_only=True, tag="mollie"):
    """A profile at Mollie; its key says by itself whether it is for tests."""

    key: MollieKey

    can_be_asked: ClassVar[bool] = True
    session: ClassVar[timedelta] = timedelta(minutes=30)
    urls: ClassVar[dict[str, str]] = dict.fromkeys(
        ("TEST", "PRODUCTION"), "https://api.mollie.com/v2/"
    )

    def __post_init__(self) -> None:
        """Compare the fields with each other.

        Raises:
            ValueError: two of them cannot stand together, or the key is that of the other mode.
        """
        _ModalAccount.__post_init__(self)
        if self.key.startswith("test_") is not (self.mode == "TEST"):
            message = "key is that of the other mode"
            raise ValueError(message)


class _TreasuryAccount(BaseAccount, frozen=True, kw_only=True):
    """What the two doors of PayFiP have in common."""

    numcli: Contract

    lowest_cents: ClassVar[int] = PAYFIP_LOWEST_CENTS
    needs_email: ClassVar[bool] = True
    pause_between_attempts: ClassVar[timedelta] = timedelta(minutes=20)


class PayfipContract(_TreasuryAccount, frozen=True, kw_only=True, tag="payfip"):
    """A client number for PayFiP's web service, of a régie or of titres.

    `saisie`: T for tests, X for the payment that activates the number, W for real ones.
    """

    saisie: Literal["T", "X", "W"]
    service_url: Url = "https://www.payfip.gouv.fr/tpa/services/securite"
    page_url: Url = "https://www.payfip.gouv.fr/tpa/paiementws.web"

    routes: ClassVar[frozenset[str]] = frozenset({"regie", "treasury"})
    highest_cents: ClassVar[int] = PAYFIP_HIGHEST_CENTS
    can_be_asked: ClassVar[bool] = True


class TipiContract(_TreasuryAccount, frozen=True, kw_only=True, tag="tipi"):
    """A client number for PayFiP's form, for titres and rôles: nothing that it says is proven.

    `saisie`: T for tests, X for the payment that activates the number, A for real ones.
    """

    route: Literal["regie", "treasury"] = "treasury"
    saisie: Literal["T", "X", "A"]
    service_url: Url = "https://www.payfip.gouv.fr/tpa/paiement.web"

    routes: ClassVar[frozenset[str]] = frozenset({"treasury"})
    highest_cents: ClassVar[int] = TIPI_HIGHEST_CENTS


Account = LyraShop | PayboxShop | SipsShop | OgoneShop | MollieShop | PayfipContract | TipiContract


def _require_safe(name: str, url: str | None) -> None:
    if url is None:
        return
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        # Its message would repeat the address.
        message = f"{name} is not an address"
        raise ValueError(message) from None
    if not host or parts.username is not None or parts.query or parts.fragment:
        message = f"{name} must be an address without user, query and fragment"
        raise ValueError(message)
    if parts.scheme != "https" and not _is_loopback(host):
        message = f"{name} must be https outside this machine"
        raise ValueError(message)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_accounts(path: Path, sealing_keys: str | None = None) -> list[Account]:
    """Return the accounts of a file; `sealing_keys` open its sealed secrets.

    Raises:
        SettingsError: it cannot be read, or two accounts have one name or one régie.
    """
    try:
        rows = msgspec.json.decode(path.read_bytes(), type=list[Row])
        accounts = msgspec.convert(open_secrets(rows, sealing_keys), list[Account])
    except (OSError, msgspec.DecodeError) as error:
        message = f"provider accounts: {error}"
        raise SettingsError(message) from error
    names = [account.account for account in accounts]
    regies = [
        (account.authority, account.route, regie)
        for account in accounts
        if account.active
        for regie in account.regies or ("*",)
    ]
    if len(set(names)) < len(names) or len(set(regies)) < len(regies):
        message = "provider accounts: a name or a régie comes twice"
        raise SettingsError(message)
    return accounts
