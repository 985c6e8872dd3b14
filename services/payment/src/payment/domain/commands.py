"""What an agent tells of an attempt."""

from typing import Annotated, Literal

import msgspec

from payment.domain.attempts import Cause


class Command(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an agent found: how the attempt ended, or what went back of it.

    `reference` is the provider's name of the operation, which makes a repetition harmless.
    """

    agent: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    state: Literal["captured", "refused", "abandoned", "reversed"]
    reference: Annotated[str, msgspec.Meta(pattern=r"^[!-~]{1,100}(?![\s\S])")]
    amount_cents: Annotated[int, msgspec.Meta(gt=0)] | None = None
    cause: Cause | None = None
