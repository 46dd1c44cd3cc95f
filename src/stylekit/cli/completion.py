"""Values for shell completion, found without the network and without heavy imports."""

DEVICES = ("auto", "cpu", "cuda", "mps")


def style_names() -> list[str]:
    """Return the names of the styles on this machine."""
    from stylekit.styles import locations

    return locations.style_names()


def known_styles() -> list[str]:
    """Return the names of the styles on this machine and in the built-in catalog."""
    import json

    from stylekit.styles.locations import bundled_styles_dir

    catalog = json.loads((bundled_styles_dir() / "catalog.json").read_text("utf-8"))
    return sorted({*style_names(), *(style["name"] for style in catalog["styles"])})


def applicable_styles() -> list[str]:
    """Return the values that `apply --style` accepts: `all` and the names of styles."""
    return ["all", *known_styles()]


def starts() -> list[str]:
    """Return the values that `train --init-from` accepts: `nearest`, `none` and the names of styles."""
    return ["nearest", "none", *style_names()]


def sheet_styles() -> list[str]:
    """Return the values that `sheet --style` accepts: groups of styles, and the names of styles on this machine."""
    from stylekit.config.sheet import STYLE_GROUPS

    return [*STYLE_GROUPS, *style_names()]
