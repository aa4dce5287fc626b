"""The one error type of configuration, with the exact spellings that existing tooling greps for."""

from __future__ import annotations

import math
from decimal import Decimal
from enum import StrEnum

__all__ = ("ConfigError", "ErrorForm", "os_error_text")


class ErrorForm(StrEnum):
    """How the last line on stderr begins; the exit code is 1 for all of them."""

    CONFIGURATION = "ValueError: Configuration error: "
    ARGUMENT = "ValueError: "
    STARTUP = "RuntimeError: "
    OVERFLOW = "OverflowError: "


class ConfigError(ValueError):
    """A setting, or a combination of settings, with which the gateway must not start.

    `str(error)` is the message alone; `line` is the complete line the command prints.
    """

    def __init__(self, message: str, form: ErrorForm = ErrorForm.CONFIGURATION) -> None:
        super().__init__(message)
        self.form = form

    @property
    def line(self) -> str:
        """The line printed on stderr, for example `ValueError: Configuration error: ...`."""
        return f"{self.form.value}{self}"

    @classmethod
    def value(cls, field: str, value: object, reason: str) -> ConfigError:
        """One field holds a value outside its domain."""
        return cls(f"Invalid value for field '{field}': {value_text(value)} - {reason}")

    @classmethod
    def validation(cls, reason: str) -> ConfigError:
        """Several fields together make no sense, or a named file cannot be used."""
        return cls(f"Validation failed: {reason}")

    @classmethod
    def incompatible(cls, reason: str) -> ConfigError:
        """Settings that exclude each other, or that this version cannot honour."""
        return cls(f"Incompatible configuration: {reason}")

    @classmethod
    def missing(cls, field: str) -> ConfigError:
        """A field that the other settings make mandatory is unset."""
        return cls(f"Missing required field: {field}")

    @classmethod
    def argument(cls, message: str) -> ConfigError:
        """A value whose shape is wrong (`key=value`, `id:name:role:key`, ...)."""
        return cls(message, ErrorForm.ARGUMENT)

    @classmethod
    def startup(cls, message: str) -> ConfigError:
        """Valid settings that cannot be put into effect on this machine."""
        return cls(message, ErrorForm.STARTUP)

    @classmethod
    def at(cls, path: str, line: int, reason: str) -> ConfigError:
        """Something in a settings file; `line` counts from 1, 0 is unknown."""
        return cls(f"{path}:{line}: {reason}" if line else f"{path}: {reason}")

    @classmethod
    def overflow(cls, field: str, message: str) -> ConfigError:
        """An integer that does not fit its field's width."""
        return cls(f"{message} (while processing '{field}')", ErrorForm.OVERFLOW)


def value_text(value: object) -> str:
    """`value` as upstream prints it: `2.0` is `2`, no exponents, lists in brackets."""
    if isinstance(value, float):
        if math.isnan(value):
            return "NaN"
        return format(Decimal(repr(value)), "f").removesuffix(".0").replace("Infinity", "inf")
    if isinstance(value, tuple):
        return f"[{', '.join(value_text(item) for item in value)}]"
    return str(value)


def os_error_text(error: OSError) -> str:
    """The operating system's reason with its number, as in `... (os error 2)`."""
    return f"{error.strerror} (os error {error.errno})"
