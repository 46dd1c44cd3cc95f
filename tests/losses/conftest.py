"""What the tests of losses share."""

from tests.permissions import without_permission

__all__ = ["without_permission"]
