"""What the tests of downloads share."""

from tests.permissions import without_permission

__all__ = ["without_permission"]
