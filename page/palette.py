"""The page's colours: one accent, and the inks that are read on every colour."""

ACCENT = {
    "c50": "#fdf2f7",
    "c100": "#fbe5ef",
    "c200": "#f8cbe0",
    "c300": "#f3a3c6",
    "c400": "#ee7fae",
    "c500": "#d63f83",
    "c600": "#b4256e",
    "c700": "#961a59",
    "c800": "#7c184b",
    "c900": "#681940",
    "c950": "#3f0823",
}
NEUTRAL = {
    "c50": "#f6f7f9",
    "c100": "#eceff3",
    "c200": "#dfe3ea",
    "c300": "#c9d0da",
    "c400": "#98a2b3",
    "c500": "#667085",
    "c600": "#4d5666",
    "c700": "#363d4a",
    "c800": "#252a34",
    "c900": "#181b22",
    "c950": "#0f1116",
}

DARK_INK, LIGHT_INK = "#0b0d12", "#ffffff"


def luminance(colour: str) -> float:
    """Relative luminance of a colour #rrggbb, 0 to 1 (WCAG 2.2)."""
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(colour: str, other: str) -> float:
    """Contrast ratio of two colours, 1 to 21 (WCAG 2.2)."""
    darker, lighter = sorted((luminance(colour), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def ink_on(colour: str) -> str:
    """The ink that reads better on `colour`."""
    return max(DARK_INK, LIGHT_INK, key=lambda ink: contrast(ink, colour))
