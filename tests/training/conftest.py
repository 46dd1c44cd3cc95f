"""What the tests of training share."""

from tests.permissions import without_permission

__all__ = ["without_permission"]
