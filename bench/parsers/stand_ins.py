"""Stand-ins for the packages that rivals import at load time and parsing never calls.

vLLM and SGLang are inference engines: to load one of their parsers, Python imports torch, triton,
web frameworks and compiled kernels. None of it takes part in parsing text, so a module that gives
an empty class for every name serves as well. Packages that are installed are never replaced.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class _AnythingType(type):
    """The class of placeholder classes: any attribute of one is another."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith(("__", "_pydantic")):
            raise AttributeError(name)
        return _placeholder(name)

    def __or__(cls, other: object) -> Any:
        return cls

    __ror__ = __or__

    def __iter__(cls) -> Any:
        return iter(())

    def __lt__(cls, other: object) -> bool:
        return False

    def __ge__(cls, other: object) -> bool:
        return True

    def __contains__(cls, item: object) -> bool:
        return False

    def __mod__(cls, other: object) -> Any:
        return cls

    def __getitem__(cls, item: object) -> Any:
        return cls


def _placeholder(name: str) -> type:
    def new(cls: type, *args: Any, **kwargs: Any) -> Any:
        # Used as a decorator it gives back what it decorates.
        if len(args) == 1 and not kwargs and callable(args[0]):
            return args[0]
        return object.__new__(cls)

    def call(self: object, *args: Any, **kwargs: Any) -> Any:
        return args[0] if len(args) == 1 and callable(args[0]) else self

    def attribute(self: object, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _placeholder(name)

    body: dict[str, Any] = {
        "__new__": new,
        "__init__": lambda self, *args, **kwargs: None,
        "__call__": call,
        "__getattr__": attribute,
        "__bool__": lambda self: False,
        "__contains__": lambda self, item: False,
        "__get_pydantic_core_schema__": classmethod(lambda cls, source, handler: {"type": "any"}),
        "__module__": "stand_in",
    }
    return _AnythingType(name, (), body)


class _StandIn(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name == "__version__":
            return "9.9.9"
        if name.startswith("__") and name != "__all__":
            raise AttributeError(name)
        if name == "__all__":
            return ()
        found = _placeholder(name)
        setattr(self, name, found)
        return found


class _Maker(MetaPathFinder, Loader):
    """Finds the named packages and everything below them, after all other finders have not."""

    def __init__(self, roots: Sequence[str]) -> None:
        self._roots = frozenset(roots)

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if any(fullname == root or fullname.startswith(root + ".") for root in self._roots):
            return ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run: names appear when they are asked for."""


def put_in(missing: Sequence[str], instead_of: Sequence[str] = ()) -> None:
    """Lets imports succeed: of `missing` where nothing is installed, of `instead_of` in any case."""
    sys.meta_path.append(_Maker(missing))
    sys.meta_path.insert(0, _Maker(instead_of))
