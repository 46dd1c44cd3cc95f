"""Properties of `johnson` that do not require torch: parameter shapes and operations in published ONNX graphs."""

from stylekit.networks.shapes import Shape, convolution_shapes, norm_shapes

JOHNSON_VARIANCE_FLOOR = 1e-5  # torch's default, with which the published weights were trained

# The operations in ONNX graphs from other programs, each with its number, or None if the number varies, because
# exporters pad, resize, crop and scale in different ways.
JOHNSON_ONNX_OPERATIONS: dict[str, int | None] = {
    **{"Conv": 16, "InstanceNormalization": 15, "Relu": 10, "Add": 5},
    **dict.fromkeys(("Pad", "Resize", "Upsample", "Clip", "Identity", "Dropout", "Constant", "ConstantOfShape")),
    **dict.fromkeys(("Shape", "Size", "Gather", "Slice", "Split", "Concat", "Expand", "Tile", "Transpose", "Reshape")),
    **dict.fromkeys(("Squeeze", "Unsqueeze", "Flatten", "Cast", "Range", "Where", "Equal", "Min", "Max", "Mod")),
    **dict.fromkeys(("Sub", "Mul", "Div", "Neg", "Floor", "Ceil", "Round")),
}


def johnson_shapes() -> dict[str, Shape]:
    """Return parameter shapes by name, in the order in which the normalizations run."""
    shapes: dict[str, Shape] = {}
    for i, (inputs, outputs, kernel) in enumerate([(3, 32, 9), (32, 64, 3), (64, 128, 3)], start=1):
        shapes |= convolution_shapes(f"conv{i}.conv2d", inputs, outputs, kernel) | norm_shapes(f"in{i}", outputs)
    for i in range(1, 6):
        for j in (1, 2):
            shapes |= convolution_shapes(f"res{i}.conv{j}.conv2d", 128, 128, 3) | norm_shapes(f"res{i}.in{j}", 128)
    for i, (inputs, outputs) in enumerate([(128, 64), (64, 32)], start=1):
        shapes |= convolution_shapes(f"deconv{i}.conv2d", inputs, outputs, 3) | norm_shapes(f"in{i + 3}", outputs)
    return shapes | convolution_shapes("deconv3.conv2d", 32, 3, 9)
