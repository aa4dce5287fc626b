"""Wire types, validation and the routing view of LLM API requests; no I/O.

`read_intake` looks at a request body once and returns an `Intake`, or raises `RequestInvalid`
with the status, code, parameter and message that clients of this API know.
"""

from smg_protocols.dialect import Dialect
from smg_protocols.errors import RequestInvalid
from smg_protocols.intake import Intake, read_intake
from smg_protocols.messages import check_anthropic_version

__all__ = ("Dialect", "Intake", "RequestInvalid", "check_anthropic_version", "read_intake")
