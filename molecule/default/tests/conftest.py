"""The fixtures of these tests."""

from operating import reach
from visiting import administrator, site

__all__ = ["administrator", "reach", "site"]
