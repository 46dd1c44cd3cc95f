"""What `fast` looks like from outside: border, doubling filter, shapes."""

from stylekit.networks.shapes import Shape, convolution_shapes, norm_shapes

FAST_BORDER_REST = 3  # pixels of `fast_border` that are left at the end, and cut off

FAST_VARIANCE_FLOOR = 1e-3

# The filter by which `fast` doubles. With H(w) the sum of h[k] cos((k + 1/2) w) over both halves, in units of the
# doubled grid: H(0) = 2, so that a flat area stays flat; H'(pi) = 0 (H(pi) is by symmetry), so that neither it nor a
# slope gets the period 2 of the grid; H(pi/2) = 0, so that what alternates from cell to cell vanishes; and, by least
# squares, as near to 2 below 0.3 pi and to 0 above 0.5 pi as ten taps come: H is within 8 % of 2 up to 0.25 pi and 1.57
# at 0.3 pi, and what is to vanish is at most 6 %. A step overshoots by 12 %.
_HALF_OF_TAPS = (0.6975, 0.4197, 0.0803, -0.1211, -0.0764)

DOUBLING_TAPS = (*reversed(_HALF_OF_TAPS), *_HALF_OF_TAPS)


def fast_border(blocks: int) -> int:
    """Return how many pixels of border `fast`'s convolutions eat and `FAST_BORDER_REST`, together a multiple of 4.

    They pad nothing: on each side a 3x3 convolution takes a cell, and a doubling what its filter reaches beyond two.
    """
    doubling = len(DOUBLING_TAPS) // 2 - 1
    quarter, half, full = 1 + 2 * blocks + 1, doubling + 1 + 1, doubling + 1
    return 4 * quarter + 2 * half + full + FAST_BORDER_REST


def fast_shapes(channels: int, blocks: int, half_channels: int, full_channels: int) -> dict[str, Shape]:
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
