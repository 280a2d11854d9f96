"""An organization's colour as a style sheet: shades of it that stay readable on light and on dark."""

import re

Rgb = tuple[float, float, float]
OWN_COLOUR = "#5146e5"
_WHITE: Rgb = (255, 255, 255)
_BLACK: Rgb = (0, 0, 0)
_DARK_SURFACE: Rgb = (18, 21, 28)
_INK_ON_BRIGHT = "#0d0b26"
_READABLE = 4.8  # WCAG 2.2 AA asks 4.5 for text; the rest is room for the soft grounds it stands on
_VISIBLE = 3.2  # 3.0 for graphics


def brand_css(colour: str) -> str:
    """Return CSS that gives the design tokens shades of `colour` ("#rrggbb"); none for our own, tuned by hand.

    Raises ValueError for anything else, so that nothing but numbers ever reaches a style sheet.
    """
    brand = _parse(colour)
    if colour.lower() == OWN_COLOUR:
        return "/* our own colour: see tokens.css */\n"
    soft_light, soft_dark = _mix(brand, _WHITE, 0.88), _mix(brand, _DARK_SURFACE, 0.78)
    light = _until(brand, _BLACK, _WHITE, _READABLE)
    dark = _until(brand, _WHITE, _DARK_SURFACE, _READABLE)
    chart_light, chart_dark = _until(brand, _BLACK, _WHITE, _VISIBLE), _until(brand, _WHITE, _DARK_SURFACE, _VISIBLE)
    tokens = {
        "accent": (light, dark),
        "accent-ink": (_until(light, _BLACK, soft_light, _READABLE), _until(dark, _WHITE, soft_dark, _READABLE)),
        "accent-soft": (soft_light, soft_dark),
        "chart-1": (chart_light, chart_dark),
        "chart-line": (chart_light, _mix(chart_dark, _WHITE, 0.2)),
        "chart-1-weak": (_mix(chart_light, _WHITE, 0.62), _mix(chart_dark, _DARK_SURFACE, 0.62)),
        "chart-band": (_mix(chart_light, _WHITE, 0.84), _mix(chart_dark, _DARK_SURFACE, 0.8)),
    }
    lines = [f"  --{name}: light-dark({_hex(day)}, {_hex(night)});" for name, (day, night) in tokens.items()]
    lines.append(f"  --on-accent: light-dark(#ffffff, {_INK_ON_BRIGHT});")
    return ":root {\n" + "\n".join(lines) + "\n}\n"


def contrast(one: str, other: str) -> float:
    """Return the WCAG contrast ratio (1 to 21) of two colours ("#rrggbb")."""
    return _contrast(_parse(one), _parse(other))


def _parse(colour: str) -> Rgb:
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", colour):
        raise ValueError(f"{colour!r} is not a colour: use six hexadecimal digits, such as #5146e5.")
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return red, green, blue


def _hex(colour: Rgb) -> str:
    return "#" + "".join(f"{round(part):02x}" for part in colour)


def _mix(colour: Rgb, ground: Rgb, share: float) -> Rgb:
    """Move `colour` towards `ground` by `share` of the way."""
    red, green, blue = (part + (other - part) * share for part, other in zip(colour, ground, strict=True))
    return red, green, blue


def _until(colour: Rgb, target: Rgb, ground: Rgb, ratio: float) -> Rgb:
    """Move towards `target` in steps of 2% until the contrast with `ground` is enough."""
    for step in range(51):
        mixed = _mix(colour, target, step / 50)
        if _contrast(mixed, ground) >= ratio:
            return mixed
    return target


def _contrast(one: Rgb, other: Rgb) -> float:
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: Rgb) -> float:
    red, green, blue = (_linear(part / 255) for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)
