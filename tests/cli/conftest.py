"""Fixtures for tests of the command line."""

from tests.permissions import without_permission

__all__ = ["without_permission"]
