"""The parsers inside other servers: `vllm` and `sglang`.

Importing these modules needs neither server; asking them for a class does.
"""

__all__ = ()
