"""What the tests of batches share."""

import pytest

from tests.permissions import without_permission

__all__ = ["without_permission"]


@pytest.fixture
def folder(tmp_path, make_photo):
    """Three photos, one of them in a subfolder."""
    for number, name in enumerate(["a.jpg", "b.png", "deep/c.webp"]):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        make_photo(40 + number, 30, seed=number).save(path)
    return tmp_path / "photos"
