"""What a request must pass before anybody looks at its body."""

from .identity import RequestIds
from .keys import DataPlaneKeys

__all__ = ("DataPlaneKeys", "RequestIds")
