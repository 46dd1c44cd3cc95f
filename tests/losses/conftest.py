"""What the tests of losses share."""

from permissions import without_permission

__all__ = ["without_permission"]
