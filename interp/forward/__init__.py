"""The only forward pass: hooks gather the planned tokens, and the pass ends when all are read."""

from interp.forward.engine import capture, read

__all__ = ["capture", "read"]
