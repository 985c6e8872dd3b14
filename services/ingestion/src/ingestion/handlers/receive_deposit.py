"""A deposit came in whole: it is kept, so that whatever happens it will be read."""

import asyncio
from pathlib import Path
from uuid import UUID, uuid4

from ingestion.ports import (
    LEASE,
    DepositRow,
    Document,
    Files,
    OpenUnit,
    Received,
    Terms,
    body_key,
    document_key,
    usable_documents,
)
from shared.clock import Clock
from shared.errors import DomainError

STORED_AT_ONCE = 8


class KeyReusedError(DomainError):
    """The idempotency key was used for another content (draft-ietf-httpapi-idempotency-key)."""

    slug = "idempotency-key-reused"


class UnknownAuthorityError(DomainError):
    """The token's authority has not been configured here yet."""

    slug = "unknown-authority"


async def find_earlier(terms: Terms, sha256: str, open_unit: OpenUnit) -> UUID | None:
    """Return the deposit that the same key and content gave before, or None.

    Raises:
        KeyReusedError: the key came with another content.
        UnknownAuthorityError: nothing is known of the token's authority.
    """
    async with open_unit() as unit:
        if await unit.deposits.authority(terms.authority) is None:
            message = "La collectivité de ce jeton n’est pas encore configurée."
            raise UnknownAuthorityError(message)
        if terms.idempotency_key is None:
            return None
        earlier = await unit.deposits.earlier(terms.authority, terms.client, terms.idempotency_key)
    if earlier is None:
        return None
    deposit_id, known = earlier
    if known != sha256:
        message = "Cette clé d’idempotence a déjà servi pour un autre contenu."
        raise KeyReusedError(message)
    return deposit_id


async def receive_deposit(
    received: Received,
    terms: Terms,
    open_unit: OpenUnit,
    files: Files,
    clock: Clock,
    instance: str,
) -> DepositRow | UUID:
    """Keep a deposit, to be read by `instance`; or return the one that its key gave before.

    Its files are in the store before its row is: a deposit that is known can be read, by anybody.

    Raises:
        KeyReusedError, UnknownAuthorityError: it is not taken.
    """
    earlier = await find_earlier(terms, received.sha256, open_unit)
    if earlier is not None:
        return earlier
    now = clock.now()
    deposit = DepositRow(
        deposit_id=uuid4(),
        authority=terms.authority,
        client=terms.client,
        regies=terms.regies,
        idempotency_key=terms.idempotency_key,
        body_sha256=received.sha256,
        regie=terms.regie,
        version=terms.version,
        publish=terms.publish,
        publish_on=terms.publish_on,
        is_dry_run=terms.is_dry_run,
        has_body=received.body is not None,
        parts=received.parts,
        size_bytes=received.size_bytes,
        received_at=now,
    )
    await _store(deposit, received, files)
    async with open_unit() as unit:
        is_new = await unit.deposits.open(deposit, instance=instance, until=now + LEASE)
    if is_new:
        return deposit
    # A twin request was quicker: its deposit is the answer to both.
    await remove_files(deposit, set(), files)
    twin = await find_earlier(terms, received.sha256, open_unit)
    if twin is None:
        message = "Cette clé d’idempotence est en cours d’usage."
        raise KeyReusedError(message)
    return twin


async def _store(deposit: DepositRow, received: Received, files: Files) -> None:
    slots = asyncio.Semaphore(STORED_AT_ONCE)

    async def put(key: str, path: Path, document: Document) -> None:
        async with slots:
            await files.put_file(key, path, sha256=document.sha256, size_bytes=document.size_bytes)

    documents = usable_documents(deposit.parts)
    waiting = [
        put(document_key(deposit, document), received.documents[sha256], document)
        for sha256, document in documents.items()
    ]
    if received.body is not None:
        # Nobody compares the digest of a body once it is stored.
        waiting.append(put(body_key(deposit), received.body, Document("0" * 64, 1)))
    await asyncio.gather(*waiting)


async def remove_files(deposit: DepositRow, kept: set[str], files: Files) -> None:
    """Remove what the store has of a deposit but the `kept` documents, given by SHA-256."""
    if deposit.has_body:
        await files.delete(body_key(deposit))
    for sha256, document in usable_documents(deposit.parts).items():
        if sha256 not in kept:
            await files.delete(document_key(deposit, document))
