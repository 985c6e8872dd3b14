"""The rules: of folders, pages, letters and postal order; no clock, no database, no network."""

from publication.domain.folder import (
    TOKEN_BYTES,
    FolderState,
    Standing,
    document_key,
    must_publish,
    must_withdraw,
    new_token,
    published_event,
    readable_until,
    refused_event,
)
from publication.domain.letters import (
    IndexedLetter,
    Letter,
    PrintRun,
    print_run_of,
    weight_class_grams,
    weight_grams,
)
from publication.domain.pages import (
    WIDTHS,
    Pages,
    PageSize,
    drawn_size,
    index_key,
    pages_folder,
    picture_key,
)
from publication.domain.postal import (
    AddressState,
    Destination,
    destination_of,
    postal_order,
)

__all__ = [
    "TOKEN_BYTES",
    "WIDTHS",
    "AddressState",
    "Destination",
    "FolderState",
    "IndexedLetter",
    "Letter",
    "PageSize",
    "Pages",
    "PrintRun",
    "Standing",
    "destination_of",
    "document_key",
    "drawn_size",
    "index_key",
    "must_publish",
    "must_withdraw",
    "new_token",
    "pages_folder",
    "picture_key",
    "postal_order",
    "print_run_of",
    "published_event",
    "readable_until",
    "refused_event",
    "weight_class_grams",
    "weight_grams",
]
