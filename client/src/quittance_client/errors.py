"""What may end a command before its work is done.

ClientError
├── SettingsError      the command cannot be carried out as it was given
├── RefusedError       a door gave an answer that repeating would not change
└── UnavailableError   no door took it, as often as was worth trying
"""


class ClientError(Exception):
    """Told to the user in their language; `slug` names the sentence, `values` fill it in."""

    def __init__(self, slug: str, **values: object) -> None:
        """Name the sentence in `words.CATALOGUE` and what it is about."""
        super().__init__(f"{slug}: {values}" if values else slug)
        self.slug = slug
        self.values = values


class SettingsError(ClientError):
    """The command, a profile or a file is not usable; nothing was sent."""


class UnavailableError(ClientError):
    """The doors could not be reached or said "later" too often; running again may succeed."""


class RefusedError(ClientError):
    """A door's own refusal: RFC 9457 on the doors, RFC 6749 (5.2) on the token endpoint."""

    def __init__(
        self, status: int, code: str, detail: str, *, pointer: str = "", trace_id: str = ""
    ) -> None:
        """Keep what the door said: `detail` is its sentence, `code` is stable."""
        super().__init__("refused", status=status, code=code, detail=detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.pointer = pointer
        self.trace_id = trace_id
