"""What a request must pass before anybody looks at its body."""

from .bodies import BodyBudget
from .gate import Gate, concurrency_bound
from .identity import RequestIds
from .keys import ControlPlaneKeys, DataPlaneKeys
from .limits import Limits

__all__ = (
    "BodyBudget",
    "ControlPlaneKeys",
    "DataPlaneKeys",
    "Gate",
    "Limits",
    "RequestIds",
    "concurrency_bound",
)
