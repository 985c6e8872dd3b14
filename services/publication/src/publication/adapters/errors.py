"""Why a document cannot be published: stable codes, and the French sentence for the biller."""

from shared.errors import DomainError

SENTENCES = {
    "not_a_pdf": "Le fichier n’est pas un PDF.",
    "encrypted": "Le PDF est chiffré ou protégé par un mot de passe.",
    "damaged": "Le PDF est abîmé et ne peut être lu en entier.",
    "too_large": "Le PDF dépasse la taille permise.",
    "no_page": "Le PDF n’a aucune page.",
    "too_many_pages": "Le PDF a trop de pages.",
    "active_content": "Le PDF contient un programme ou une action automatique.",
    "embedded_file": "Le PDF contient un fichier joint autre qu’une facture électronique.",
    "resource_limit": "Le PDF demande trop de mémoire ou de temps pour être ouvert.",
    "unreadable_code": "Le code à imprimer n’a pas pu être relu sur la page.",
}


class UnsafePdfError(DomainError):
    """The document must not be published as it is; `code` is stable, `detail` for the logs."""

    slug = "unsafe-pdf"

    def __init__(self, code: str, detail: str = "") -> None:
        """Refuse with a code of SENTENCES."""
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    @property
    def sentence(self) -> str:
        """What to tell the biller, in French."""
        return SENTENCES[self.code]
