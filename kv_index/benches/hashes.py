"""Which hash should name a block of 16 tokens? Run it to see why the index uses XXH3.

Python's own `hash` differs between processes, so it could not name blocks that gateways exchange;
it is here for comparison only.
"""

from __future__ import annotations

import sys
import timeit
from hashlib import blake2b

from blake3 import blake3
from smg_kv_index import pack_tokens
from xxhash import xxh3_64_intdigest

BLOCK = pack_tokens(range(100_000, 100_016))
CALLS = 100_000

CONTENDERS = {
    "hash(bytes), not stable": lambda: hash(BLOCK + b"x"),
    "xxh3_64 with a seed": lambda: xxh3_64_intdigest(BLOCK, 1337),
    "blake2b, 8 bytes": lambda: int.from_bytes(blake2b(BLOCK, digest_size=8).digest(), "little"),
    "blake3, 8 bytes": lambda: int.from_bytes(blake3(BLOCK).digest(length=8), "little"),
}

if __name__ == "__main__":
    for name, call in CONTENDERS.items():
        best_s = min(timeit.repeat(call, number=CALLS, repeat=5))
        sys.stdout.write(f"{best_s / CALLS * 1e9:8.0f} ns  {name}\n")
