"""Opens what was encrypted for a receiver: RFC 8291 on RFC 8188, written from the RFCs.

The sender's library is not used here, so that a mistake in it cannot undo itself.
"""

from base64 import b64decode, urlsafe_b64encode
from dataclasses import dataclass
from secrets import token_bytes

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SALT_BYTES = 16
HEADER_BYTES = 21
POINT_BYTES = 65
LAST_RECORD = 2


class UnopenedError(Exception):
    """The content was not encrypted for this receiver, or not as RFC 8291 says."""


@dataclass(frozen=True, kw_only=True)
class Receiver:
    """The two secrets of a subscription, which a browser keeps for itself."""

    key: ec.EllipticCurvePrivateKey
    auth: bytes

    @classmethod
    def draw(cls) -> "Receiver":
        """Return a new one."""
        return cls(key=ec.generate_private_key(ec.SECP256R1()), auth=token_bytes(16))

    @property
    def point(self) -> bytes:
        """The public key, uncompressed."""
        public = self.key.public_key()
        return public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def open(self, body: bytes) -> bytes:
        """Return what was encrypted, a single record long.

        Raises:
            UnopenedError: it cannot be opened.
        """
        salt, sender, record = _parts(body)
        try:
            their_key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender)
        except ValueError as error:
            message = "the sender's key is no point of P-256"
            raise UnopenedError(message) from error
        shared = self.key.exchange(ec.ECDH(), their_key)
        info = b"WebPush: info\0" + self.point + sender
        secret = _derive(shared, self.auth, info, 32)
        content_key = _derive(secret, salt, b"Content-Encoding: aes128gcm\0", 16)
        nonce = _derive(secret, salt, b"Content-Encoding: nonce\0", 12)
        try:
            padded = AESGCM(content_key).decrypt(nonce, record, None)
        except InvalidTag as error:
            message = "the record was not made with these keys"
            raise UnopenedError(message) from error
        content = padded.rstrip(b"\0")
        if not content or content[-1] != LAST_RECORD:
            message = "the only record is not marked as the last one"
            raise UnopenedError(message)
        return content[:-1]


def _parts(body: bytes) -> tuple[bytes, bytes, bytes]:
    """Return salt, sender's key and record (RFC 8188, section 2.1)."""
    if len(body) < HEADER_BYTES + POINT_BYTES:
        message = "shorter than its own header"
        raise UnopenedError(message)
    size = int.from_bytes(body[SALT_BYTES : SALT_BYTES + 4])
    length = body[HEADER_BYTES - 1]
    sender, record = body[HEADER_BYTES : HEADER_BYTES + length], body[HEADER_BYTES + length :]
    if length != POINT_BYTES or not 18 <= len(record) <= size:
        message = "not one record with a P-256 key"
        raise UnopenedError(message)
    return body[:SALT_BYTES], sender, record


def _derive(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(secret)


def encode(content: bytes) -> str:
    """Write bytes as base64url without padding, as browsers do."""
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Read base64url.

    Raises:
        ValueError: it is none.
    """
    bare = text.rstrip("=")
    return b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)
