"""Facts about `fast` that need no torch: its border, its doubling filter, its shapes."""

from stylekit.networks.shapes import Shape, convolution_shapes, norm_shapes

FAST_BORDER_REST = 3  # pixels of the border that remain at the end, and are cropped

FAST_VARIANCE_FLOOR = 1e-3

# The filter that doubles height and width. With H(w) the sum of h[k] cos((k + 1/2) w) over both halves, in units of the
# doubled grid: H(0) = 2, so that flat areas stay flat; H'(pi) = 0 (H(pi) is 0 by symmetry), so that neither they nor
# slopes get the grid's period of 2; H(pi/2) = 0, so that values alternating from cell to cell vanish; and, by least
# squares, H is as close to 2 below 0.3 pi and to 0 above 0.5 pi as ten taps allow: within 8 % of 2 up to 0.25 pi, 1.57
# at 0.3 pi, at most 6 % above 0.5 pi. A step overshoots by 12 %.
_HALF_OF_TAPS = (0.6975, 0.4197, 0.0803, -0.1211, -0.0764)

DOUBLING_TAPS = (*reversed(_HALF_OF_TAPS), *_HALF_OF_TAPS)


def fast_border(blocks: int) -> int:
    """Return how many pixels of border the photo gets: what the convolutions take, and `FAST_BORDER_REST`.

    Together they are a multiple of 4. Nothing is padded later: on each side, a 3x3 convolution takes one cell of its
    resolution, and a doubling takes four of the doubled one.
    """
    doubling = len(DOUBLING_TAPS) // 2 - 1
    quarter, half, full = 1 + 2 * blocks + 1, doubling + 1 + 1, doubling + 1
    return 4 * quarter + 2 * half + full + FAST_BORDER_REST


def fast_shapes(channels: int, blocks: int, half_channels: int, full_channels: int) -> dict[str, Shape]:
    """Return parameter shapes by name, with normalizations in the order in which they run."""

    def normed(name: str, inputs: int, outputs: int) -> dict[str, Shape]:
        return convolution_shapes(f"{name}.convolution", inputs, outputs, 3) | norm_shapes(f"{name}.norm", outputs)

    shapes = normed("stem", 3 * 4 * 4, channels)
    for i in range(blocks):
        shapes |= normed(f"blocks.{i}.first", channels, channels)
        shapes |= convolution_shapes(f"blocks.{i}.second", channels, channels, 3)
    head = {"to_half": (channels, half_channels), "at_half": (half_channels, half_channels)}
    head |= {"to_full": (half_channels, full_channels), "out": (full_channels, 3)}
    for name, (inputs, outputs) in head.items():
        shapes |= convolution_shapes(name, inputs, outputs, 3)
    return shapes
