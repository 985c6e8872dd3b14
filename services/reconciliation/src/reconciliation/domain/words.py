"""Sums of money in French words, as a quittance writes them beside the figures."""

UNITS = (
    "zéro",
    "un",
    "deux",
    "trois",
    "quatre",
    "cinq",
    "six",
    "sept",
    "huit",
    "neuf",
    "dix",
    "onze",
    "douze",
    "treize",
    "quatorze",
    "quinze",
    "seize",
    "dix-sept",
    "dix-huit",
    "dix-neuf",
)
TENS = {2: "vingt", 3: "trente", 4: "quarante", 5: "cinquante", 6: "soixante", 8: "quatre-vingt"}
MILLION = 1_000_000


def sum_in_words(cents: int) -> str:
    """Return `quarante et un euros et cinquante centimes`.

    Raises:
        ValueError: below zero, or a billion euros and more.
    """
    euros, rest = divmod(cents, 100)
    if not 0 <= euros < 1000 * MILLION:
        message = f"{cents} cents have no words"
        raise ValueError(message)
    parts = []
    if euros or not rest:
        # « un million d’euros », but « un million deux cents euros ».
        link = " d’" if euros and euros % MILLION == 0 else " "
        parts.append(f"{in_words(euros)}{link}{'euros' if euros > 1 else 'euro'}")
    if rest:
        parts.append(f"{in_words(rest)} {'centimes' if rest > 1 else 'centime'}")
    return " et ".join(parts)


def in_words(number: int) -> str:
    """Return a whole number below a billion in words (spelling of before 1990)."""
    if number < 100:
        return _below_hundred(number)
    if number < 1000:
        hundreds, rest = divmod(number, 100)
        return _counted("cent", hundreds, rest)
    if number < MILLION:
        thousands, rest = divmod(number, 1000)
        # « mille » is never counted as one and has no plural; what counts it loses its own.
        count = "" if thousands == 1 else _without_plural(in_words(thousands)) + " "
        return f"{count}mille{' ' + in_words(rest) if rest else ''}"
    millions, rest = divmod(number, MILLION)
    word = "million" if millions == 1 else "millions"
    return f"{in_words(millions)} {word}{' ' + in_words(rest) if rest else ''}"


def _counted(word: str, count: int, rest: int) -> str:
    """Return `cent`, `deux cents`, `deux cent un`: the plural stands only at the end."""
    counted = word if count == 1 else f"{UNITS[count]} {word}"
    if rest:
        return f"{counted} {_below_hundred(rest)}"
    return counted + ("s" if count > 1 else "")


def _without_plural(words: str) -> str:
    is_counted = words.endswith((" cents", "-vingts"))
    return words.removesuffix("s") if is_counted else words


def _below_hundred(number: int) -> str:
    if number < 20:
        return UNITS[number]
    tens, unit = divmod(number, 10)
    if tens in (7, 9):
        # Seventy and ninety go on counting from sixty and from eighty.
        tens, unit = tens - 1, unit + 10
    if number == 80:
        return "quatre-vingts"
    if unit == 0:
        return TENS[tens]
    if unit in (1, 11) and tens != 8:
        return f"{TENS[tens]} et {UNITS[unit]}"
    return f"{TENS[tens]}-{UNITS[unit]}"
