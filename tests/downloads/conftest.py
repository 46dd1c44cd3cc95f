"""What the tests of downloads share."""

from permissions import without_permission

__all__ = ["without_permission"]
