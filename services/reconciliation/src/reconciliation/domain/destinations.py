"""Where a biller wants its files left, and what of that is secret."""

from typing import Annotated, ClassVar, TypeAlias

import msgspec

from shared.errors import PermanentError, TransientError

Host = Annotated[str, msgspec.Meta(min_length=1, max_length=253)]
Short = Annotated[str, msgspec.Meta(max_length=200, pattern=r"^[^\x00-\x1f]*$")]
Key = Annotated[str, msgspec.Meta(max_length=16_384)]


class Download(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="download",
):
    """Nowhere: the biller fetches its files itself."""

    SECRETS: ClassVar[tuple[str, ...]] = ()


class Sftp(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="kind",
    tag="sftp",
):
    """A folder of an SFTP server, which proves itself with a host key that is known beforehand."""

    SECRETS: ClassVar[tuple[str, ...]] = ("private_key", "password")

    host: Host
    port: Annotated[int, msgspec.Meta(ge=1, le=65_535)] = 22
    user: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    folder: Short = ""
    private_key: Key = ""
    """OpenSSH or PEM, without a passphrase."""
    password: Short = ""
    host_key: Annotated[str, msgspec.Meta(min_length=1, max_length=16_384)]
    """Public key as in known_hosts, `ssh-ed25519 AAAA…`; one a line when it is about to change."""


class S3(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="kind",
    tag="s3",
):
    """A bucket, or a folder of it, of any store that speaks S3."""

    SECRETS: ClassVar[tuple[str, ...]] = ("secret_access_key",)

    bucket_url: Annotated[
        str, msgspec.Meta(pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?$")
    ]
    """`s3://bucket` or `s3://bucket/folder`."""
    endpoint: Short = ""
    """`https://host[:port]`; empty for AWS itself."""
    region: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,40}$")] = "us-east-1"
    access_key_id: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    secret_access_key: Short = ""

    @property
    def address(self) -> str:
        """Where its requests go."""
        return self.endpoint or f"https://s3.{self.region}.amazonaws.com"


Destination: TypeAlias = Download | Sftp | S3


class DropError(TransientError):
    """A file could not be left; `code` is stable, the text a French sentence.

    Whatever it was, the biller's side may mend it: the drop is tried again for 72 hours.
    """

    slug = "drop-failed"

    def __init__(self, code: str, detail: str) -> None:
        """Tell why."""
        super().__init__(detail)
        self.code = code


class DestinationError(PermanentError):
    """A destination cannot be used as it is described; the text says why, in French."""

    slug = "invalid-destination"

    def __init__(self, pointer: str, detail: str) -> None:
        """Refuse the part at `pointer`."""
        super().__init__(detail)
        self.pointer = pointer


def split(destination: Destination) -> tuple[Destination, dict[str, str]]:
    """Return the destination without its secrets, and these by name."""
    secrets = {name: str(getattr(destination, name)) for name in destination.SECRETS}
    blanks = dict.fromkeys(secrets, "")
    return msgspec.structs.replace(destination, **blanks), {
        name: text for name, text in secrets.items() if text
    }


def joined(destination: Destination, secrets: dict[str, str]) -> Destination:
    """Return a destination with its secrets put back."""
    return msgspec.structs.replace(destination, **secrets)


def with_kept_secrets(
    asked: Destination, kept: Destination, secrets: dict[str, str]
) -> Destination:
    """Return `asked` with the secrets that are kept, when it brings none and is the same place.

    They never go to another host, user or bucket than the one they were given for.
    """
    plain, own = split(asked)
    return joined(plain, secrets) if not own and plain == kept else asked
