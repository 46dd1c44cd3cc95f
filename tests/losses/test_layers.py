"""Which layers losses use by default."""

import pytest

from stylekit.losses.layers import training_content_layers


@pytest.mark.parametrize(
    ("highest", "layers"),
    [
        ("relu5_1", ("relu3_3", "relu4_2")),
        ("relu4_1", ("relu3_3", "relu4_1")),
        ("relu3_3", ("relu3_3",)),
        ("relu2_1", ("relu2_1",)),
    ],
)
def test_training_keeps_edges_and_the_subject(highest, layers):
    assert training_content_layers(highest) == layers
