"""Elements of SVG, every text in them escaped."""

from __future__ import annotations

from markupsafe import Markup, escape

# Average width of a character of a sans-serif font, as a share of its size; digits are wider than that.
_CHARACTER = 0.56


def element(name: str, *children: str, **attributes: str | float | None) -> Markup:
    """An element of SVG.

    Args:
        name: Of the element.
        children: Text, which is escaped, or `Markup`, which is not.
        attributes: Python names: `class_`, `stroke_width`; `None` is left out, numbers are rounded.
    """
    written = "".join(
        f' {_attribute(key)}="{escape(_value(value))}"' for key, value in attributes.items() if value is not None
    )
    inside = "".join(escape(child) for child in children)
    return Markup(f"<{name}{written}>{inside}</{name}>") if inside else Markup(f"<{name}{written}/>")


def _attribute(key: str) -> str:
    return key if key in ("viewBox", "preserveAspectRatio") else key.rstrip("_").replace("_", "-")


def _value(value: str | float) -> str:
    return value if isinstance(value, str) else number(value)


def number(value: float) -> str:
    """A coordinate: a tenth of a pixel is as fine as anybody sees."""
    return f"{value:.1f}".removesuffix(".0")


def points(pairs: list[tuple[float, float]]) -> str:
    """Coordinates as `polyline` and `polygon` take them."""
    return " ".join(f"{number(x)},{number(y)}" for x, y in pairs)


def text_width(text: str, size: float) -> float:
    """About how wide a text is set, in the unit of `size`."""
    return sum(1.0 if ord(letter) > 0x2E7F else _CHARACTER for letter in text) * size


def shortened(text: str, width: float, size: float) -> str:
    """The text, or as much of its beginning as fits a width, and an ellipsis."""
    if text_width(text, size) <= width:
        return text
    kept = max(int(width / (size * _CHARACTER)) - 1, 1)
    return text[:kept].rstrip(" ,") + "…"
