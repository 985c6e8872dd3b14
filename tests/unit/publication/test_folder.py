"""What publication says of an invoice that it has published."""

from datetime import UTC, date, datetime

from publication.domain.folder import published_event
from shared.events.invoice_generated import PayerIdentity, StoredFile
from tests.unit.publication.publication_builders import an_invoice

NOW = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)
IDENTITY = PayerIdentity(
    family_name="MARTIN", given_names=("Camille",), birthdate="1984-05-12", gender="female"
)


def test_who_the_payer_is_is_handed_on_as_it_was_told() -> None:
    """C5: the portal links by it; publication neither reads nor prints it."""
    document = StoredFile(key="a.pdf", size_bytes=1, sha256="0" * 64)

    found = published_event(
        an_invoice(payer_identity=IDENTITY),
        token="a" * 22,
        document=document,
        at=NOW,
        readable_days=90,
    )

    assert found.payer_identity == IDENTITY
    assert found.readable_until == date(2027, 2, 23)
