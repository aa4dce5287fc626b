"""The client APIs: which routes exist and what is particular about each."""

from .routes import RELAY_ROUTES, RelayRoute
from .view import RequestView

__all__ = ("RELAY_ROUTES", "RelayRoute", "RequestView")
