"""Read files from `torch.save` without PyTorch: a zip archive of one pickle and each tensor's bytes.

Tensors become NumPy arrays. No function that a file names is called, and every size that it claims is checked against
the size of the file, so that reading takes at most a few times as much memory. `torch.load(weights_only=True)` runs no
foreign code either, but a few bytes of pickle can make it allocate gigabytes (`bytearray(10**10)`) or run for hours
(nested tuples as a dictionary key).
"""

import math
import pickle
import pickletools
import struct
import sys
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

MAX_PICKLE_BYTES = 1_000_000
"""A model's pickle is a few kB, about 100 bytes per tensor; as Python objects it can take 64 times as much."""
MAX_DIRECTORY_BYTES = 4_000_000
"""Limit of the archive's directory, which takes about 100 bytes per tensor."""
MAX_DIMENSIONS = 8

_DTYPES = {
    "DoubleStorage": "f8", "FloatStorage": "f4", "HalfStorage": "f2", "BFloat16Storage": "u2", "LongStorage": "i8",
    "IntStorage": "i4", "ShortStorage": "i2", "CharStorage": "i1", "ByteStorage": "u1", "BoolStorage": "?",
}  # fmt: skip
"""PyTorch's storage class -> NumPy dtype in the file; bfloat16, which NumPy lacks, is read as its bits."""
_REBUILD_TENSOR, _ORDERED_DICT = "torch._utils _rebuild_tensor_v2", "collections OrderedDict"

_PLAIN = (str, int, float, bool, type(None))


@dataclass(frozen=True)
class _Storage:
    """The memory that tensors are views of. A class of its own: a view of a view could claim any length."""

    type_name: str
    numbers: NDArray[Any]


def read_archive(path: Path, n_bytes: int, max_pickle_bytes: int) -> Any:
    """Return the object in the file at `path`, of `n_bytes`, with tensors as NumPy arrays (bfloat16 as float32).

    Raises UnpicklingError if the file contains anything but dictionaries, lists, tuples, plain values and tensors;
    OSError; ValueError, zipfile.BadZipFile and others if it is damaged.
    """
    with path.open("rb") as file:
        if _directory_bytes(file) > MAX_DIRECTORY_BYTES:
            raise ValueError("too many files in the archive")
        with zipfile.ZipFile(file) as archive:
            _check_sizes(archive, n_bytes)
            return _Interpreter(archive, n_bytes, max_pickle_bytes).value()


def _directory_bytes(file: IO[bytes]) -> int:
    """Return the size of the archive's central directory, before it is read (APPNOTE.TXT 4.3.14 to 4.3.16)."""
    file.seek(-22, 2)
    end = file.read(22)
    if end[:4] != b"PK\5\6":
        raise ValueError("the archive has no end")
    n_bytes: int = struct.unpack("<L", end[12:16])[0]
    n_bytes = 0 if n_bytes == 0xFFFFFFFF else n_bytes
    file.seek(-42, 2)
    locator = file.read(20)
    if locator[:4] == b"PK\6\7":
        file.seek(struct.unpack("<Q", locator[8:16])[0])
        end = file.read(56)
        if end[:4] != b"PK\6\6":
            raise ValueError("the archive has no end")
        n_bytes = max(n_bytes, struct.unpack("<Q", end[40:48])[0])
    return n_bytes


def _check_sizes(archive: zipfile.ZipFile, n_bytes: int) -> None:
    """Raise ValueError if a member is compressed, duplicated or overlaps others: those can claim any size."""
    infos = archive.infolist()
    if any(info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size for info in infos):
        raise ValueError("a member of the archive is compressed")
    if sum(info.file_size for info in infos) > n_bytes or len({info.filename for info in infos}) < len(infos):
        raise ValueError("the archive claims more than it holds")


class _Interpreter:
    """Interprets the pickle opcodes that build plain values; any other opcode is an error."""

    def __init__(self, archive: zipfile.ZipFile, n_bytes: int, max_pickle_bytes: int) -> None:
        self._archive = archive
        self._n_bytes_left = 2 * n_bytes  # of all tensors, since views can claim any size; bfloat16 becomes float32
        self._max_pickle_bytes = max_pickle_bytes
        [self._top] = {info.filename.partition("/")[0] for info in archive.infolist()}
        self._storages: dict[str, _Storage] = {}  # by the name of the file in the archive
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []  # the stack below each mark
        self._memo: dict[int, Any] = {}

    def value(self) -> Any:
        """Return the unpickled object."""
        if self._bytes("byteorder", 10) != sys.byteorder.encode():
            raise ValueError("written on a machine with another byte order")
        for opcode, argument, _ in pickletools.genops(self._bytes("data.pkl", self._max_pickle_bytes)):
            if opcode.name == "STOP":
                break
            self._do(opcode.name, argument)
        [value] = self._stack
        return value

    def _bytes(self, name: str, max_bytes: int) -> bytes:
        info = self._archive.getinfo(f"{self._top}/{name}")
        if info.file_size > max_bytes:
            raise ValueError(f"{name} is too long")
        return self._archive.read(info)

    def _do(self, name: str, argument: Any) -> None:
        stack = self._stack
        match name:
            case "PROTO":
                pass
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[name])
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT" | "BINUNICODE" | "GLOBAL":
                stack.append(argument)  # of a global, only its name, which is never resolved
            case "EMPTY_DICT" | "EMPTY_LIST" | "EMPTY_TUPLE":
                stack.append({"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}[name]())
            case "MARK":
                self._below.append(stack)
                self._stack = []
            case "TUPLE":
                items = self._pop_to_mark()
                self._stack.append(tuple(items))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                n = int(name[-1])
                stack[-n:] = [tuple(stack[-n:])]
            case "APPEND" | "APPENDS":
                items = [stack.pop()] if name == "APPEND" else self._pop_to_mark()
                self._top_of(list).extend(items)
            case "SETITEM" | "SETITEMS":
                items = [stack.pop(-2), stack.pop()] if name == "SETITEM" else self._pop_to_mark()
                self._set_items(items)
            case "BINPUT" | "LONG_BINPUT":
                self._memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(_reusable(self._memo[argument]))
            case "BINPERSID":
                stack.append(self._storage(*stack.pop()))
            case "REDUCE":
                arguments, function = stack.pop(), stack.pop()
                stack.append(self._made(function, arguments))
            case _:
                raise pickle.UnpicklingError(f"opcode {name} is not allowed")

    def _pop_to_mark(self) -> list[Any]:
        items, self._stack = self._stack, self._below.pop()
        return items

    def _top_of(self, kind: type) -> Any:
        if not isinstance(self._stack[-1], kind):
            raise pickle.UnpicklingError(f"not a {kind.__name__}")
        return self._stack[-1]

    def _set_items(self, items: list[Any]) -> None:
        keys = items[::2]
        if not all(isinstance(key, _PLAIN) for key in keys):  # the hash of nested tuples can take hours
            raise pickle.UnpicklingError("a dictionary key is not a plain value")
        self._top_of(dict).update(zip(keys, items[1::2], strict=True))

    def _made(self, function: Any, arguments: Any) -> Any:
        if function == _ORDERED_DICT and arguments == ():
            return OrderedDict()
        if function == _REBUILD_TENSOR:
            tensor = _tensor(*arguments)
            self._n_bytes_left -= tensor.nbytes
            if self._n_bytes_left < 0:
                raise ValueError("the tensors claim more than the archive holds")
            return tensor
        raise pickle.UnpicklingError("a function call is not allowed")

    def _storage(self, kind: Any, storage_type: Any, key: Any, _device: Any, n: Any) -> _Storage:
        module, _, name = storage_type.partition(" ")
        if kind != "storage" or module != "torch" or name not in _DTYPES:
            raise pickle.UnpicklingError("a persistent id is not a tensor storage")
        dtype = np.dtype(_DTYPES[name])
        info = self._archive.getinfo(f"{self._top}/data/{key}")
        if info.file_size != n * dtype.itemsize:
            raise ValueError("the size of a tensor does not match its data")
        if info.filename not in self._storages:
            numbers = np.frombuffer(self._archive.read(info), dtype)
            # bfloat16 is the upper half of float32; a copy is aligned, and writable.
            numbers = (numbers.astype("u4") << 16).view("f4") if name == "BFloat16Storage" else numbers.copy()
            self._storages[info.filename] = _Storage(name, numbers)
        storage = self._storages[info.filename]
        if storage.type_name != name:
            raise ValueError("the data of a tensor has two types")
        return storage


def _reusable(value: Any) -> Any:
    """Return a memoized value if reusing it cannot blow up the result: no nested lists, no cycles."""
    flat = isinstance(value, tuple) and all(isinstance(item, _PLAIN) for item in value)
    if flat or isinstance(value, _PLAIN):
        return value
    raise pickle.UnpicklingError("a list or dictionary is referenced twice")


def _tensor(storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> NDArray[Any]:
    """Return a view of the storage; strides are in values. Raises ValueError if it would reach outside."""
    numbers, sizes = storage.numbers, [offset, *shape, *strides]
    if len(shape) != len(strides) or len(shape) > MAX_DIMENSIONS or not all(type(n) is int and n >= 0 for n in sizes):
        raise ValueError("a tensor has an impossible shape")
    if not math.prod(shape):
        return np.empty(shape, numbers.dtype)
    if offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True)) >= len(numbers):
        raise ValueError("a tensor is larger than its storage")
    return np.lib.stride_tricks.as_strided(numbers[offset:], shape, [n * numbers.itemsize for n in strides])
