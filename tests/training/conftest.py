"""What the tests of training share."""

from permissions import without_permission

__all__ = ["without_permission"]
