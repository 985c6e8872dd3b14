"""The letters of a print run: in which order they lie, on which pages, and what each weighs."""

import hashlib
from collections.abc import Sequence
from uuid import UUID

import msgspec

from publication.domain.postal import AddressState, destination_of, postal_order

SHEET_GRAMS = 5
"""An A4 sheet of 80 g/m²: 0.21 m x 0.297 m x 80 g/m² = 4.99 g."""
ENVELOPE_GRAMS = 5
FOLDED_SHEETS = 6
"""As many sheets as a machine folds into a small envelope; more lie flat in a large one."""
LARGE_ENVELOPE_GRAMS = 17
WEIGHT_CLASSES_GRAMS = (20, 100, 250, 500, 1000, 2000)
"""La Poste's steps for a letter, the envelope included: "Tarifs courrier", Lettre verte, 2023.

The step of 50 g was dropped on 1 January 2016.
"""
LAYOUT = 1
"""Higher when the same letters would be bound otherwise, so that no old file is taken for it."""


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A published invoice whose payer has no electronic address, with the file that is printed."""

    invoice_id: UUID
    version: int
    regie: str
    number: str
    subject: str
    payer_reference: str
    name: str
    address: tuple[str, ...]
    print_key: str
    pages: int
    size_bytes: int


class IndexedLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A letter in the merged file, for mailing software.

    `first_page` and `last_page` (from 1) also cover the blank page that ends an odd letter in a
    duplex run; `pages` does not. `country` is empty for France; `weight_class_grams` is null for
    what is too heavy for a letter. Without a complete address it lies at the end of the file.
    """

    sequence: int
    first_page: int
    last_page: int
    pages: int
    blank_pages: int
    sheets: int
    invoice_id: UUID
    regie: str
    number: str
    subject: str
    payer_reference: str
    name: str
    address: tuple[str, ...]
    postcode: str
    city: str
    country: str
    address_state: AddressState
    weight_grams: int
    weight_class_grams: int | None


class PrintRun(msgspec.Struct, frozen=True, kw_only=True):
    """The letters of a deposit in postal order, and their places in the merged file."""

    deposit_id: UUID
    is_duplex: bool
    pages: int
    sheets: int
    letters: tuple[Letter, ...]
    index: tuple[IndexedLetter, ...]

    @property
    def key(self) -> str:
        """Where the merged file is kept: another list of letters is another file."""
        content = [LAYOUT, self.is_duplex, [[x.print_key, x.pages] for x in self.letters]]
        digest = hashlib.sha256(msgspec.json.encode(content)).hexdigest()
        return f"print-runs/{self.deposit_id}/{digest}.pdf"


def print_run_of(deposit_id: UUID, letters: Sequence[Letter], *, is_duplex: bool) -> PrintRun:
    """Return the letters in postal order; equal addresses and names in the order of numbers."""
    destinations = {letter.invoice_id: destination_of(letter.address) for letter in letters}
    ordered = sorted(
        letters,
        key=lambda letter: (
            postal_order(letter.name, destinations[letter.invoice_id], letter.address),
            letter.regie,
            letter.number,
            letter.invoice_id,
        ),
    )
    index = []
    first_page = 1
    for sequence, letter in enumerate(ordered, start=1):
        destination = destinations[letter.invoice_id]
        # Each letter begins on the front of a sheet.
        blank_pages = letter.pages % 2 if is_duplex else 0
        taken = letter.pages + blank_pages
        sheets = taken // 2 if is_duplex else taken
        grams = weight_grams(sheets)
        index.append(
            IndexedLetter(
                sequence=sequence,
                first_page=first_page,
                last_page=first_page + taken - 1,
                pages=letter.pages,
                blank_pages=blank_pages,
                sheets=sheets,
                invoice_id=letter.invoice_id,
                regie=letter.regie,
                number=letter.number,
                subject=letter.subject,
                payer_reference=letter.payer_reference,
                name=letter.name,
                address=letter.address,
                postcode=destination.postcode,
                city=destination.city,
                country=destination.country,
                address_state=destination.state,
                weight_grams=grams,
                weight_class_grams=weight_class_grams(grams),
            )
        )
        first_page += taken
    return PrintRun(
        deposit_id=deposit_id,
        is_duplex=is_duplex,
        pages=first_page - 1,
        sheets=sum(letter.sheets for letter in index),
        letters=tuple(ordered),
        index=tuple(index),
    )


def weight_grams(sheets: int) -> int:
    """Return what a letter of so many sheets weighs with its envelope, estimated."""
    envelope = ENVELOPE_GRAMS if sheets <= FOLDED_SHEETS else LARGE_ENVELOPE_GRAMS
    return sheets * SHEET_GRAMS + envelope


def weight_class_grams(grams: int) -> int | None:
    """Return the step that a letter is paid for, or None when it is a parcel."""
    return next((step for step in WEIGHT_CLASSES_GRAMS if grams <= step), None)
