"""Random damage to files: what disks, editors and hands do. On sys.path through `pythonpath` of pytest."""

import gzip
import json
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

Mutation = Callable[[bytes, bytes, Random], bytes]
"""(content of the file, content of another file of its kind, chance) -> other content, nearly always."""

STRANGE: tuple[Any, ...] = (
    *(None, True, 0, -1, 1, 2**31, 2**64, 10**400, 0.1, -0.0, 1e308),
    *("", "nan", "0", "é\u2028", "a\nb", "\x1b[2J", "../../x", "x" * 5000, [], [0], {}, {"a": 1}),
)
"""Values that have no business where they are put."""
SPELLINGS = ("1e999", "-1e999", "NaN", "9" * 5000, '"\\ud800"', "[" * 3000 + "]" * 3000, "[" * 10**5)
"""What JSON's readers stumble over."""
FIELDS = ('"', "1.5", "1e3", "inf", "-", "0x0", "1x1x1", "1_0", " 1", "\u0661")
"""What CSV's readers take for something else."""


def last_byte_changed(data: bytes) -> bytes:
    """Whatever it was before."""
    return data[:-1] + bytes([data[-1] ^ 1])


def flipped(data: bytes, other: bytes, chance: Random) -> bytes:
    """One to eight bits are other ones."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 8))):
        changed[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def cut_off(data: bytes, other: bytes, chance: Random) -> bytes:
    """Written to the middle only; sometimes not at all."""
    return data[: chance.choice((0, 1, len(data) // 2, len(data) - 1, chance.randrange(len(data))))]


def deleted(data: bytes, other: bytes, chance: Random) -> bytes:
    start, stop = _block(data, chance)
    return data[:start] + data[stop:]


def inserted(data: bytes, other: bytes, chance: Random) -> bytes:
    place = chance.randrange(len(data) + 1)
    return data[:place] + chance.randbytes(chance.choice((1, 1, 16, 4096))) + data[place:]


def doubled(data: bytes, other: bytes, chance: Random) -> bytes:
    start, stop = _block(data, chance)
    return data[:stop] + data[start:]


def zeroed(data: bytes, other: bytes, chance: Random) -> bytes:
    """A block that was allocated and never written."""
    start, stop = _block(data, chance)
    return data[:start] + bytes(stop - start) + data[stop:]


def half_and_half(data: bytes, other: bytes, chance: Random) -> bytes:
    place = chance.randrange(len(data))
    return data[:place] + other[place:]


def exchanged(data: bytes, other: bytes, chance: Random) -> bytes:
    return other


def digit_edited(data: bytes, other: bytes, chance: Random) -> bytes:
    """One digit of a text is another one: the change that looks most like a result."""
    places = [place for place, byte in enumerate(data) if chr(byte).isdigit() and byte < 128]
    if not places:
        return data + b"0"
    place = chance.choice(places)
    return data[:place] + str((data[place] - 48 + chance.randint(1, 9)) % 10).encode() + data[place + 1 :]


def json_edited(data: bytes, other: bytes, chance: Random) -> bytes:
    """A value is another one, a key is gone or new, or the text spells a number that JSON's readers stumble over."""
    content = json.loads(data)
    table, keys = content, list(content)
    key = chance.choice(keys)
    while isinstance(table[key], dict | list) and table[key] and chance.random() < 0.6:
        table = table[key]
        key = chance.choice(list(table) if isinstance(table, dict) else range(len(table)))
    way = chance.randrange(5)
    if way == 0:
        del table[key]
    elif way == 1 and isinstance(table, dict):
        table[str(key) + chance.choice(("s", " ", "é"))] = table[key]
    elif way == 2:
        table[key] = "MARK"
        return json.dumps(content).replace('"MARK"', chance.choice(SPELLINGS)).encode()
    else:
        table[key] = chance.choice(STRANGE)
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False).encode()


def csv_edited(data: bytes, other: bytes, chance: Random) -> bytes:
    """A field, row or column is another one, gone, or there twice."""
    rows = [line.split(",") for line in data.decode(errors="replace").splitlines()]
    row, column = chance.randrange(len(rows)), chance.randrange(len(rows[0]))
    way = chance.randrange(6)
    if way == 0:
        del rows[row]
    elif way == 1:
        rows.insert(row, list(rows[row]))
    elif way == 2:
        rows = [line[:column] + line[column + 1 :] for line in rows]
    elif way == 3:
        rows[row] = rows[row][:column]
    else:
        column = min(column, len(rows[row]) - 1)
        rows[row][column] = chance.choice([*map(str, STRANGE), *FIELDS, chance.choice(rows)[0]])
    return ("\n".join(",".join(line) for line in rows) + "\n").encode(errors="surrogateescape")


def inside_gzip(mutation: Mutation) -> Mutation:
    """The same to the text that is compressed in a file."""

    def mutated(data: bytes, other: bytes, chance: Random) -> bytes:
        return gzip.compress(mutation(gzip.decompress(data), gzip.decompress(other), chance), mtime=0)

    mutated.__name__ = f"{mutation.__name__}_inside_gzip"
    return mutated


def other_compression(data: bytes, other: bytes, chance: Random) -> bytes:
    """The same text, or more than one, as another program would pack it."""
    text = gzip.decompress(data)
    return chance.choice((text, zlib.compress(text), gzip.compress(text, 1, mtime=9), data + data, data + b"\0" * 8))


ANY = (flipped, cut_off, deleted, inserted, doubled, zeroed, half_and_half, exchanged, digit_edited)
"""For any file."""
JSON = (*ANY, json_edited, json_edited, json_edited)
CSV = (*ANY, csv_edited, csv_edited)
GZIPPED_CSV = (*ANY, other_compression, *map(inside_gzip, (*ANY, csv_edited, csv_edited)))


def _block(data: bytes, chance: Random) -> tuple[int, int]:
    start = chance.randrange(len(data))
    return start, min(len(data), start + chance.choice((1, 1, 7, 64, 512)))
