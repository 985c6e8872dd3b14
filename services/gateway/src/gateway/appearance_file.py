"""What a town file says of an authority's appearance: what is wrong with it, and what is kept."""

from collections.abc import Iterable

from gateway.colours import LEAST_RATIO, least_ratio, nearest
from gateway.logos import LogoError, read_logo
from gateway.ports.appearance import Appearance, OtherMeans

IBAN_REMAINDER = 1
"""ISO 13616: the number made of an IBAN, divided by 97, leaves one."""


def problems_of_appearance(appearance: Appearance, place: str) -> Iterable[str]:
    """Yield what cannot be shown: colours that nobody could read, a logo that is none."""
    if appearance.accent is not None:
        yield from _problem_of_colour(appearance.accent, f"{place}/accent", by_night=False)
    if appearance.accent_dark is not None:
        if appearance.accent is None:
            yield f"{place}/accent_dark: comes without accent"
        yield from _problem_of_colour(appearance.accent_dark, f"{place}/accent_dark", by_night=True)
    if appearance.logo is not None:
        try:
            read_logo(appearance.logo)
        except LogoError as error:
            yield f"{place}/logo: {error}"


def problems_of_other_means(means: OtherMeans, place: str) -> Iterable[str]:
    """Yield what is wrong with how a régie is paid otherwise: money must not go astray."""
    if means.iban is not None and not _is_iban(means.iban):
        yield f"{place}/iban: its check digits do not fit"
    if means.bic is not None and means.iban is None:
        yield f"{place}/bic: comes without iban"


def _problem_of_colour(colour: str, place: str, *, by_night: bool) -> Iterable[str]:
    found = least_ratio(colour, by_night=by_night)
    if found < LEAST_RATIO:
        theme = "dark" if by_night else "light"
        # Cut, not rounded: 4.499 must not read as 4.5.
        shown = int(found * 100) / 100
        yield (
            f"{place}: {colour} has a contrast of {shown:.2f}:1 in the {theme} theme, where"
            f" {LEAST_RATIO}:1 is needed; the nearest that has is"
            f" {nearest(colour, by_night=by_night)}"
        )


def _is_iban(text: str) -> bool:
    """Tell whether the check digits of an IBAN fit (ISO 13616, ISO 7064 MOD 97-10)."""
    # Of a text that a line break ends, `$` in its pattern sees nothing.
    compact = "".join(text.split())
    turned = compact[4:] + compact[:4]
    return int("".join(str(int(sign, 36)) for sign in turned)) % 97 == IBAN_REMAINDER
