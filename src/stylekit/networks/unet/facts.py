"""Properties of `unet` that do not require torch: the border and the parameter shapes."""

from stylekit.networks.fast.facts import HEAD_BORDER, head_shapes
from stylekit.networks.shapes import Shape, convolution_shapes, normalized_shapes

LEAK = 0.2  # negative slope of the leaky ReLUs on the way up, where a dead unit would leave a flat area
CELL = 16  # side of a cell of the coarsest level, in pixels
STEM_BORDER = 4  # pixels of the border that the first convolution consumes
BODY_BORDER = 32  # pixels of border around the photo in the body; a multiple of `CELL`
BORDER_REST = BODY_BORDER - HEAD_BORDER  # pixels of border that remain at the end, and are cropped


def unet_shapes(
    channels: int,
    eighth_channels: int,
    sixteenth_channels: int,
    sixteenth_blocks: int,
    half_channels: int,
    full_channels: int,
) -> dict[str, Shape]:
    """Return parameter shapes by name, in the order in which the normalizations run."""

    def block(name: str, width: int) -> dict[str, Shape]:
        return normalized_shapes(f"{name}.first", width, width) | convolution_shapes(f"{name}.second", width, width, 3)

    shapes = normalized_shapes("stem", 3 * 4 * 4, channels) | block("quarter_in", channels)
    shapes |= normalized_shapes("to_eighth", channels, eighth_channels) | block("eighth_in", eighth_channels)
    shapes |= normalized_shapes("to_sixteenth", eighth_channels, sixteenth_channels)
    for i in range(sixteenth_blocks):
        shapes |= block(f"sixteenth.{i}", sixteenth_channels)
    shapes |= normalized_shapes("back_to_eighth", sixteenth_channels, eighth_channels) | block(
        "eighth_out", eighth_channels
    )
    shapes |= normalized_shapes("back_to_quarter", eighth_channels, channels) | block("quarter_out", channels)
    return shapes | head_shapes(channels, half_channels, full_channels)


def unet_radius(sixteenth_blocks: int) -> int:
    """Return how far in pixels a pixel of the photo influences the result, other than through normalizations."""
    quarter_in = 1 + 2 + 1  # radii in cells of the stem, a block and the convolution to the next level
    eighth_in = 2 + 1
    sixteenth = 2 * sixteenth_blocks + 1  # one cell for doubling
    eighth_out = 1 + 2 + 1
    quarter_out = 1 + 2
    return 4 * (quarter_in + quarter_out) + 8 * (eighth_in + eighth_out) + 16 * sixteenth + HEAD_BORDER
