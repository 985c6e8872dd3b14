"""Who may log in: made-up people, with what makes real identities hard to match."""

import hashlib
from dataclasses import dataclass

FRANCE = "99100"


@dataclass(frozen=True, kw_only=True)
class Person:
    """One made-up person, as the RNIPP would know them."""

    name: str
    """What the page and the API call them."""
    family_name: str
    given_names: tuple[str, ...]
    birthdate: str
    """`YYYY-MM-DD`; the day, or day and month, are 00 where nobody knows them."""
    gender: str
    birthplace: str
    """INSEE code of the commune; empty for who was born abroad."""
    birthcountry: str = FRANCE
    email: str
    remark: str

    def claims(self) -> dict[str, object]:
        """Return the claims of all scopes that are simulated."""
        return {
            "family_name": self.family_name,
            "given_name": " ".join(self.given_names),
            "given_name_array": list(self.given_names),
            "birthdate": self.birthdate,
            "gender": self.gender,
            "birthplace": self.birthplace,
            "birthcountry": self.birthcountry,
            "email": self.email,
        }

    def subject(self, client_id: str) -> str:
        """Return the pairwise subject: the same for a person and a client, and for no other."""
        pivot = (
            self.family_name,
            *self.given_names,
            self.birthdate,
            self.gender,
            self.birthplace,
            self.birthcountry,
        )
        identity = hashlib.sha256("\n".join(pivot).encode()).hexdigest()
        return hashlib.sha256(f"{client_id}{identity}".encode()).hexdigest() + "v1"


PERSONS = (
    Person(
        name="camille",
        family_name="MARTIN",
        given_names=("Camille", "Louise", "Marie"),
        birthdate="1984-05-17",
        gender="female",
        birthplace="75107",
        email="camille.martin@example.org",
        remark="trois prénoms, née à Paris",
    ),
    Person(
        name="camille-homonyme",
        family_name="MARTIN",
        given_names=("Camille",),
        birthdate="1984-05-17",
        gender="male",
        birthplace="69383",
        email="c.martin@example.org",
        remark="homonyme de la précédente, né le même jour à Lyon",
    ),
    Person(
        name="anais",
        family_name="DUPONT",
        given_names=("Anaïs",),
        birthdate="1999-12-31",
        gender="female",
        birthplace="2A004",
        email="anais.dupont@example.org",
        remark="un seul prénom, née à Ajaccio",
    ),
    Person(
        name="minh",
        family_name="NGUYỄN",
        given_names=("Minh", "Anh"),
        birthdate="1979-02-03",
        gender="male",
        birthplace="",
        birthcountry="99243",
        email="minh.nguyen@example.org",
        remark="né à l’étranger (Viêt Nam)",
    ),
    Person(
        name="aminata",
        family_name="DIALLO",
        given_names=("Aminata",),
        birthdate="1962-00-00",
        gender="female",
        birthplace="",
        birthcountry="99335",
        email="",
        remark="née à l’étranger (Mali), jour et mois inconnus, sans adresse électronique",
    ),
    Person(
        name="yann",
        family_name="LE GOFF-D’HÉROUVILLE",
        given_names=("Jean-Yves", "Yann"),
        birthdate="1955-11-00",
        gender="male",
        birthplace="29019",
        email="yann@example.org",
        remark="nom composé, prénom composé, jour de naissance inconnu",
    ),
)

BY_NAME = {person.name: person for person in PERSONS}
