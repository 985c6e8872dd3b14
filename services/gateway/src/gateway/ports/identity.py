"""Who somebody is for the State: the pivot identity that FranceConnect tells."""

import msgspec


class Pivot(msgspec.Struct, frozen=True, kw_only=True):
    """The six fields of the pivot identity (FranceConnect v2, scope `identite_pivot`).

    `birthdate` is `YYYY-MM-DD`, or partial (`YYYY-MM-00`) for who was born on a day nobody knows;
    `birthplace` is the INSEE code of the commune, empty for who was born abroad; `birthcountry` the
    INSEE code of the country (`99100` is France).
    """

    family_name: str
    given_names: tuple[str, ...]
    birthdate: str
    gender: str
    birthplace: str
    birthcountry: str
