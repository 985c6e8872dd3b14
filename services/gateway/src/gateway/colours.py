"""Colours that people can read: contrast by WCAG 2.2, and what an authority's own colour becomes.

An authority gives one colour; buttons, links and edges of its invoices take it, by day and by
night. The surfaces below are those of `static/style.css` and `static/dark.css`; a test holds both
together.
"""

import colorsys

import msgspec

LEAST_RATIO = 4.5
"""WCAG 2.2, 1.4.3: the colour is also that of links, which are text of any size."""
DAY = ("#ffffff", "#f6f5f0")
"""What stands below text by day: cards, the page."""
NIGHT = ("#19242b", "#11191e")
"""The same by night."""
ON_DAY, ON_NIGHT = "#ffffff", "#0b1216"
"""What is written on a button of the colour."""
STEPS = 400

Channels = tuple[float, float, float]


class Shades(msgspec.Struct, frozen=True, kw_only=True):
    """One colour and what goes with it: pressed, as a pale ground, and what is written on it."""

    plain: str
    strong: str
    pale: str
    on: str


def ratio(one: str, other: str) -> float:
    """Return the contrast of two colours, from 1 to 21 (WCAG 2.2, relative luminance)."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def least_ratio(colour: str, *, by_night: bool = False) -> float:
    """Return the worst contrast that a colour has where it is used."""
    grounds = (*NIGHT, ON_NIGHT) if by_night else (*DAY, ON_DAY)
    return min(ratio(colour, ground) for ground in grounds)


def nearest(colour: str, *, by_night: bool = False) -> str:
    """Return the colour itself if it can be read, else the first that can: darker, or lighter."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*_channels(colour))
    end = 1.0 if by_night else 0.0
    for step in range(STEPS + 1):
        moved = lightness + (end - lightness) * step / STEPS
        found = _written(colorsys.hls_to_rgb(hue, moved, saturation)) if step else colour.lower()
        if least_ratio(found, by_night=by_night) >= LEAST_RATIO:
            return found
    return _written((end, end, end))


def by_day(colour: str) -> Shades:
    """Return the shades of a colour on light surfaces."""
    return Shades(
        plain=colour.lower(),
        strong=_mixed(colour, "#000000", 0.3),
        pale=_mixed(colour, DAY[0], 0.9),
        on=ON_DAY,
    )


def by_night(colour: str) -> Shades:
    """Return the shades of a colour on dark surfaces."""
    return Shades(
        plain=colour.lower(),
        strong=_mixed(colour, "#ffffff", 0.4),
        pale=_mixed(colour, NIGHT[0], 0.86),
        on=ON_NIGHT,
    )


def _channels(colour: str) -> Channels:
    red, green, blue = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    return red, green, blue


def _written(channels: Channels) -> str:
    return "#" + "".join(f"{round(channel * 255):02x}" for channel in channels)


def _mixed(colour: str, other: str, share: float) -> str:
    """Return `colour` with a share of `other` in it."""
    red, green, blue = (
        own * (1 - share) + foreign * share
        for own, foreign in zip(_channels(colour), _channels(other), strict=True)
    )
    return _written((red, green, blue))


def _luminance(colour: str) -> float:
    red, green, blue = (
        channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
        for channel in _channels(colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
