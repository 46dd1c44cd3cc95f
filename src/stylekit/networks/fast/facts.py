"""Properties of `fast` that do not require torch: the border, the doubling filter and the parameter shapes."""

from stylekit.networks.shapes import Shape, convolution_shapes, normalized_shapes

FAST_BORDER_REST = 3  # pixels of the border that remain at the end, and are cropped

FAST_VARIANCE_FLOOR = 1e-3

# The filter that doubles height and width. Let H(w) be the sum of h[k] cos((k + 1/2) w) over both halves, in units of
# the doubled grid. H(0) = 2 keeps flat areas flat. H'(pi) = 0 (H(pi) is 0 by symmetry) keeps the grid's period of 2 out
# of flat areas and slopes. H(pi/2) = 0 removes values that alternate from cell to cell. Apart from that, the taps are
# a least-squares fit of H to 2 below 0.3 pi and to 0 above 0.5 pi: H is within 8 % of 2 up to 0.25 pi, 1.57 at 0.3 pi,
# and at most 6 % of 2 above 0.5 pi. A step overshoots by 12 %.
_HALF_OF_TAPS = (0.6975, 0.4197, 0.0803, -0.1211, -0.0764)

DOUBLING_TAPS = (*reversed(_HALF_OF_TAPS), *_HALF_OF_TAPS)


# Pixels of border that the layers back to full resolution consume on each side: a 3x3 convolution consumes a cell at
# the resolution of the layer, and a doubling four cells at the doubled resolution.
_DOUBLING = len(DOUBLING_TAPS) // 2 - 1
HEAD_BORDER = 4 * 1 + 2 * (_DOUBLING + 1 + 1) + (_DOUBLING + 1)


def fast_border(blocks: int) -> int:
    """Return how many pixels of border to add to the photo: the pixels that the layers consume and `FAST_BORDER_REST`.

    The sum is a multiple of 4. Nothing else is padded.
    """
    return 4 * (1 + 2 * blocks) + HEAD_BORDER + FAST_BORDER_REST


def fast_shapes(channels: int, blocks: int, half_channels: int, full_channels: int) -> dict[str, Shape]:
    """Return parameter shapes by name, in the order in which the normalizations run."""
    shapes = normalized_shapes("stem", 3 * 4 * 4, channels)
    for i in range(blocks):
        shapes |= normalized_shapes(f"blocks.{i}.first", channels, channels)
        shapes |= convolution_shapes(f"blocks.{i}.second", channels, channels, 3)
    return shapes | head_shapes(channels, half_channels, full_channels)


def head_shapes(channels: int, half_channels: int, full_channels: int) -> dict[str, Shape]:
    """Return the parameter shapes of the layers that restore full resolution."""
    return (
        convolution_shapes("to_half", channels, half_channels, 3)
        | convolution_shapes("at_half", half_channels, half_channels, 3)
        | convolution_shapes("to_full", half_channels, full_channels, 3)
        | convolution_shapes("out", full_channels, 3, 3)
    )


def bytes_per_pixel(channels: int, full_channels: int) -> int:
    """Return roughly how many bytes of memory `fast` or `unet` needs for each pixel.

    The estimate counts six copies of the photo or the result, two of the last features and one of the body's features.
    Measured on a CPU: 180 to 223 bytes for `fast`, 208 to 214 for `unet`.
    """
    return 6 * 3 * 4 + 2 * 4 * full_channels + 4 * channels // 16
