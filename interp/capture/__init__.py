"""The only forward pass: hooks gather the planned tokens, and the pass ends when all are read."""

from interp.capture.forward import capture, read

__all__ = ["capture", "read"]
