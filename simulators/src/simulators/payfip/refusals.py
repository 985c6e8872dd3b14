"""What PayFiP answers when it does not do what was asked: one of four SOAP faults, with a code.

A2, R3, P1 and P5 are as recorded from the real service, 999 as an integration met it. The other
codes come from the code of one integration: they are plausible, and nothing may rest on them. E1
to E3, R1 and O1 are this simulator's own, for rules whose code nobody has written down.
"""

from enum import StrEnum
from types import MappingProxyType


class FaultKind(StrEnum):
    """The faults of the service's description."""

    FUNCTIONAL = "FonctionnelleErreur"
    DYSFUNCTION = "TechDysfonctionnementErreur"
    UNAVAILABLE = "TechIndisponibiliteErreur"
    PROTOCOL = "TechProtocolaireErreur"


LABELS = MappingProxyType(
    {
        "A1": "Adresse mél absente.",
        "A2": "Adresse mél incorrecte.",
        "S1": "Le paramètre SAISIE est absent ou incorrect.",
        "T1": "Le paramètre NUMCLI est absent ou son format n'est pas conforme.",
        "T2": "Le client est inconnu.",
        "T4": "Le client n'est pas autorisé à ce type de saisie.",
        "E1": "Le paramètre EXER est absent.",
        "E3": "Le format du paramètre EXER n'est pas conforme.",
        "R1": "Le paramètre REFDET est absent.",
        "R3": "Le format du paramètre REFDET n'est pas conforme.",
        "O1": "Le format du paramètre OBJET n'est pas conforme.",
        "M1": "Le format du paramètre MONTANT n'est pas conforme.",
        "M3": "Le montant est inférieur à un euro.",
        "M5": "Le montant est supérieur au maximum autorisé.",
        "N1": "Le paramètre URLNOTIF est absent ou incorrect.",
        "D1": "Le paramètre URLREDIRECT est absent ou incorrect.",
        "P1": "IdOp incorrect.",
        "P3": "IdOp déjà utilisé.",
        "P4": "IdOp périmé.",
        "P5": "Résultat de la transaction non connu.",
        "999": "Erreur technique.",
    }
)
SEVERITY = 2


class RefusalError(Exception):
    """The request is refused: the `kind` of fault and its `code`; `label` is a French sentence."""

    def __init__(self, code: str, kind: FaultKind = FaultKind.FUNCTIONAL) -> None:
        """Refuse with `code`."""
        self.code = code
        self.kind = kind
        self.label = LABELS[code]
        super().__init__(f"{code} {self.label}")
