"""The signature of Lyra's form payment V2: over the values of every `vads_*` field, by name order.

Source: Lyra documentation, "Computing the signature"; the vector in the tests.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from enum import StrEnum

FIELD_PREFIX = "vads_"


class SignatureAlgorithm(StrEnum):
    """What a shop chose in its back office; SHA-1 is kept by Lyra for old shops only."""

    HMAC_SHA256 = "hmac_sha256"
    SHA1 = "sha1"


def sign(
    fields: Mapping[str, str],
    key: str,
    algorithm: SignatureAlgorithm = SignatureAlgorithm.HMAC_SHA256,
) -> str:
    """Return the signature of `fields`: names starting with `vads_` count, others do not.

    The values are joined by `+` in the order of their names, the key comes last; HMAC-SHA-256
    under the same key, in base64 (or plain SHA-1 in hexadecimal).
    """
    names = sorted(name for name in fields if name.startswith(FIELD_PREFIX))
    signed = "+".join([*(fields[name] for name in names), key]).encode()
    if algorithm is SignatureAlgorithm.SHA1:
        return hashlib.sha1(signed, usedforsecurity=False).hexdigest()
    digest = hmac.new(key.encode(), signed, hashlib.sha256).digest()
    return base64.b64encode(digest).decode("ascii")


def is_signed(
    fields: Mapping[str, str],
    key: str,
    signature: str,
    algorithm: SignatureAlgorithm = SignatureAlgorithm.HMAC_SHA256,
) -> bool:
    """Say whether `signature` is that of `fields`, in constant time."""
    return hmac.compare_digest(sign(fields, key, algorithm).encode(), signature.encode())
