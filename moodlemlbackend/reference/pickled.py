"""``classifier.pkl``: a joblib pickle of the reference, read without unpickling it.

A small interpreter follows the pickle's instructions. It knows plain values, one-dimensional arrays of integers and
the four names of :class:`_Name`, and refuses every other instruction and name. It imports, creates and calls nothing:
what a pickle would build is kept as an :class:`_Object`, which says what the pickle asked for.

joblib puts an array's bytes into the stream right after the instruction that completes its wrapper, behind a padding of
a length byte and that many bytes if the wrapper says that arrays are aligned.
"""

from __future__ import annotations

import io
import pickletools
import zlib
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moodlemlbackend.reference.files import naming, read_bounded

_SIZE_LIMIT = 2**20  # bytes, also when decompressed; a real one has under 10,000
_INSTRUCTION_LIMIT = 10_000  # bounds time, stack and memo; a real one has about 70
_COMPRESSED = (b"\x78", b"\x1f\x8b")  # how zlib and gzip streams begin
_INSTRUCTIONS = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
_VALUES = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"}
_TUPLE_SIZES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class _Name(Enum):
    """The names that a pickle may mention."""

    NETWORK = "moodlemlbackend.model.tensor.TF"
    WRAPPER = "joblib.numpy_pickle.NumpyArrayWrapper"
    NDARRAY = "numpy.ndarray"
    DTYPE = "numpy.dtype"


@dataclass(eq=False)
class _Object:
    """An object that the pickle describes: what it would call, with which arguments, and the state it would set."""

    name: _Name
    arguments: tuple[object, ...]
    state: object = None


def read_attributes(path: Path) -> dict[str, object]:
    """Return the attributes of the model that the reference pickled to ``path``: plain values and integer arrays.

    Raises ModelError for a file that holds anything else, StorageError when it cannot be read.
    """
    content = read_bounded(path, _SIZE_LIMIT)
    with naming(path):
        stream = io.BytesIO(_decompress(content))
        try:
            result = _interpret(stream)
        except (IndexError, KeyError) as error:
            raise ValueError("the pickle's instructions don't fit together") from error
        if stream.read(1):
            raise ValueError("there is something after the end of the pickle")
        match result:
            case _Object(name=_Name.NETWORK, state=dict() as attributes):
                return attributes
        raise ValueError("the pickle does not contain the former package's network")


def _decompress(content: bytes) -> bytes:
    """Return what joblib compressed with zlib or gzip, other content as it is."""
    if not content.startswith(_COMPRESSED):
        return content
    decoder = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        content = decoder.decompress(content, _SIZE_LIMIT)
    except zlib.error as error:
        raise ValueError("its compressed content is damaged") from error
    if not decoder.eof or decoder.unused_data:
        raise ValueError("its compressed content is incomplete, too large or followed by something else")
    return content


def _interpret(stream: io.BytesIO) -> object:
    """Follow the pickle in ``stream`` to its end and return what it describes; IndexError, KeyError, ValueError."""
    stack: list[object] = []
    marks: list[int] = []
    memo: dict[int, object] = {}

    def pop_to_mark() -> list[object]:
        mark = marks.pop()
        items = stack[mark:]
        del stack[mark:]
        return items

    for _ in range(_INSTRUCTION_LIMIT):
        code = stream.read(1)
        opcode = _INSTRUCTIONS.get(code)
        if opcode is None:
            raise ValueError(f"it has the instruction {code!r}" if code else "the pickle is incomplete")
        match opcode.name:
            case "PROTO":
                if _argument(opcode, stream) > 5:
                    raise ValueError("the pickle uses a protocol newer than 5")
            case "FRAME":
                if _argument(opcode, stream) > _remaining(stream):
                    raise ValueError("the pickle is incomplete")
            case "MARK":
                marks.append(len(stack))
            case "NONE":
                stack.append(None)
            case "NEWTRUE" | "NEWFALSE" as name:
                stack.append(name == "NEWTRUE")
            case name if name in _VALUES:
                stack.append(_argument(opcode, stream))
            case name if name in _TUPLE_SIZES:
                items = [stack.pop() for _ in range(_TUPLE_SIZES[name])]
                stack.append(tuple(reversed(items)))
            case "TUPLE":
                stack.append(tuple(pop_to_mark()))
            case "EMPTY_LIST":
                stack.append([])
            case "APPEND":
                item = stack.pop()
                _extend(stack[-1], [item])
            case "APPENDS":
                items = pop_to_mark()
                _extend(stack[-1], items)
            case "EMPTY_DICT":
                stack.append({})
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                _update(stack[-1], [key, value])
            case "SETITEMS":
                items = pop_to_mark()
                _update(stack[-1], items)
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "BINPUT" | "LONG_BINPUT":
                memo[_memo_index(opcode, stream)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[_memo_index(opcode, stream)])
            case "GLOBAL":
                stack.append(_name(*(stream.readline()[:-1].decode() for _ in range(2))))
            case "STACK_GLOBAL":
                attribute, module = stack.pop(), stack.pop()
                stack.append(_name(module, attribute))
            case "NEWOBJ" | "REDUCE" as name:
                arguments = stack.pop()
                stack.append(_call(name, stack.pop(), arguments))
            case "BUILD":
                state = stack.pop()
                stack.append(_build(stack.pop(), state, stream))
            case "STOP":
                return stack.pop()
            case _:
                raise ValueError(f"it has the instruction {opcode.name}, which is not allowed")
    raise ValueError(f"the pickle has more than {_INSTRUCTION_LIMIT:,} instructions")


def _argument(opcode: pickletools.OpcodeInfo, stream: io.BytesIO) -> Any:
    """Read the argument of an instruction that has one; ValueError when the stream ends before it does."""
    assert opcode.arg is not None
    return opcode.arg.reader(stream)


def _memo_index(opcode: pickletools.OpcodeInfo, stream: io.BytesIO) -> int:
    index: int = _argument(opcode, stream)
    if index > _INSTRUCTION_LIMIT:
        raise ValueError(f"the pickle numbers an object {index:,}")
    return index


def _remaining(stream: io.BytesIO) -> int:
    return stream.getbuffer().nbytes - stream.tell()


def _extend(target: object, items: list[object]) -> None:
    if not isinstance(target, list):
        raise ValueError("the pickle appends to something that is not a list")
    target.extend(items)


def _update(target: object, items: list[object]) -> None:
    keys, values = items[::2], items[1::2]
    if not isinstance(target, dict) or len(keys) != len(values) or not all(isinstance(key, str) for key in keys):
        raise ValueError("the pickle fills something that is not a table of names and values")
    target.update(zip(keys, values, strict=True))


def _name(module: object, attribute: object) -> _Name:
    """Return the name if it is admitted."""
    if not (isinstance(module, str) and isinstance(attribute, str)):
        raise ValueError("the pickle refers to something that is not a name")
    name = f"{module}.{attribute}"
    try:
        return _Name(name)
    except ValueError:
        raise ValueError(f"it refers to {name[:80]!r}, which is not allowed") from None


def _call(instruction: str, name: object, arguments: object) -> _Object:
    """Return the object that a pickle would make by calling ``name``."""
    if isinstance(name, _Name) and isinstance(arguments, tuple):
        match instruction, name, arguments:
            case ("NEWOBJ", _Name.NETWORK | _Name.WRAPPER, ()) | ("REDUCE", _Name.DTYPE, _):
                return _Object(name, arguments)
    raise ValueError("the pickle calls something that is not allowed")


def _build(target: object, state: object, stream: io.BytesIO) -> _Object | NDArray[np.int64]:
    """Give an object its state; a wrapper becomes the array whose bytes follow in the stream."""
    if isinstance(target, _Object):
        match target.name, state:
            case _Name.WRAPPER, dict():
                return _read_array(state, stream)
            case (_Name.NETWORK, dict()) | (_Name.DTYPE, tuple()):
                target.state = state
                return target
    raise ValueError("the pickle sets a state that is not allowed")


def _read_array(wrapper: dict[str, object], stream: io.BytesIO) -> NDArray[np.int64]:
    """Read the bytes of an array of integers, (n,), as ``wrapper`` describes them."""
    match wrapper.get("shape"):
        case (int(length),) if wrapper.get("subclass") is _Name.NDARRAY:
            dtype = _integer_dtype(wrapper.get("dtype"))
        case _:
            raise ValueError("it has an array that is not a row of integers")
    if wrapper.get("numpy_array_alignment_bytes") is not None:
        padding = stream.read(1)[0]
        stream.seek(padding, io.SEEK_CUR)
    if not 0 <= length * dtype.itemsize <= _remaining(stream):
        raise ValueError("it ends in the middle of an array")
    return np.frombuffer(stream.read(length * dtype.itemsize), dtype).astype(np.int64)


def _integer_dtype(described: object) -> np.dtype[Any]:
    """Return the dtype, an integer of 4 or 8 bytes, that ``numpy.dtype(code, align, copy)`` and its state stand for."""
    match described:
        case _Object(arguments=(str(code), _, _), state=(_, str(order), None, None, None, *_)):
            if code in ("i4", "i8") and order in ("<", ">"):
                return np.dtype(order + code)
    raise ValueError("it has an array of something other than integers")
