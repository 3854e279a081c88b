"""Read files from `torch.save` without PyTorch: a zip archive of one pickle and each tensor's bytes.

Tensors become NumPy arrays. No function that a file names is called, and every size that it claims is checked against
the size of the file, so that reading takes at most a few times as much memory. `torch.load(weights_only=True)` runs no
foreign code either, but a few bytes of pickle can make it allocate gigabytes (`bytearray(10**10)`) or run for hours
(nested tuples as a dictionary key).
"""

import io
import math
import pickle
import sys
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
        # What ZipFile reads at once, before it returns; None if the archive has no end.
        end = zipfile._EndRecData(file)  # type: ignore[attr-defined]
        if end[zipfile._ECD_SIZE] > MAX_DIRECTORY_BYTES:  # type: ignore[attr-defined]
            raise ValueError("too many files in the archive")
        with zipfile.ZipFile(file) as archive:
            _check_sizes(archive, n_bytes)
            return _Unpickler(archive, n_bytes, max_pickle_bytes).load()


def _check_sizes(archive: zipfile.ZipFile, n_bytes: int) -> None:
    """Raise ValueError if a member is compressed, duplicated or overlaps others: those can claim any size."""
    infos = archive.infolist()
    if any(info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size for info in infos):
        raise ValueError("a member of the archive is compressed")
    if sum(info.file_size for info in infos) > n_bytes or len({info.filename for info in infos}) < len(infos):
        raise ValueError("the archive claims more than it holds")


def _refuse(_: Any) -> None:
    raise pickle.UnpicklingError("this opcode is not allowed")


_OPCODES: dict[int, Any] = pickle._Unpickler.dispatch
"""Number of an opcode -> the method for it, in Python's unpickler (the one that is written in Python)."""
_PLAIN_OPCODES = (
    *(pickle.PROTO, pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE, pickle.BININT, pickle.BININT1, pickle.BININT2),
    *(pickle.LONG1, pickle.BINFLOAT, pickle.BINUNICODE, pickle.EMPTY_DICT, pickle.EMPTY_LIST, pickle.EMPTY_TUPLE),
    *(pickle.MARK, pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3, pickle.APPEND, pickle.APPENDS),
    *(pickle.BINPUT, pickle.LONG_BINPUT, pickle.BINGET, pickle.LONG_BINGET, pickle.GLOBAL, pickle.BINPERSID),
    pickle.STOP,
)


class _Memo(dict[int, Any]):
    """What a pickle refers to again: no lists, dictionaries or nested tuples, which could blow up, or be cycles."""

    def __getitem__(self, i: int) -> Any:
        value = super().__getitem__(i)
        if isinstance(value, _PLAIN) or (isinstance(value, tuple) and all(isinstance(item, _PLAIN) for item in value)):
            return value
        raise pickle.UnpicklingError("a list or dictionary is referenced twice")


class _Unpickler(pickle._Unpickler):
    """Python's unpickler, with only the opcodes that build plain values; functions and classes stay names."""

    dispatch = dict.fromkeys(range(256), _refuse) | {code[0]: _OPCODES[code[0]] for code in _PLAIN_OPCODES}
    stack: list[Any]  # since the last mark

    def __init__(self, archive: zipfile.ZipFile, n_bytes: int, max_pickle_bytes: int) -> None:
        self._archive = archive
        self._n_bytes_left = 2 * n_bytes  # of all tensors, since views can claim any size; bfloat16 becomes float32
        [self._top] = {info.filename.partition("/")[0] for info in archive.infolist()}
        self._storages: dict[str, _Storage] = {}  # by the name of the file in the archive
        if self._bytes("byteorder", 10) != sys.byteorder.encode():
            raise ValueError("written on a machine with another byte order")
        super().__init__(io.BytesIO(self._bytes("data.pkl", max_pickle_bytes)))
        self.memo = _Memo()

    def _bytes(self, name: str, max_bytes: int) -> bytes:
        info = self._archive.getinfo(f"{self._top}/{name}")
        if info.file_size > max_bytes:
            raise ValueError(f"{name} is too long")
        return self._archive.read(info)

    def find_class(self, module: str, name: str) -> str:
        """Return the name of a global, which is never resolved."""
        return f"{module} {name}"

    def persistent_load(self, pid: Any) -> _Storage:
        """Return the storage of tensors; torch.save refers to it in this way."""
        kind, storage_type, key, _device, n = pid
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

    def _reduce(self) -> None:
        """Call a function: only these two, which are not called, but done here."""
        arguments, function = self.stack.pop(), self.stack.pop()
        if function == _ORDERED_DICT and arguments == ():
            self.stack.append(OrderedDict())
        elif function == _REBUILD_TENSOR:
            tensor = _tensor(*arguments)
            self._n_bytes_left -= tensor.nbytes
            if self._n_bytes_left < 0:
                raise ValueError("the tensors claim more than the archive holds")
            self.stack.append(tensor)
        else:
            raise pickle.UnpicklingError("a function call is not allowed")

    def _set_item(self) -> None:
        _check_keys(self.stack[-2:-1])
        _OPCODES[pickle.SETITEM[0]](self)

    def _set_items(self) -> None:
        _check_keys(self.stack[::2])
        _OPCODES[pickle.SETITEMS[0]](self)

    dispatch |= {pickle.REDUCE[0]: _reduce, pickle.SETITEM[0]: _set_item, pickle.SETITEMS[0]: _set_items}


def _check_keys(keys: list[Any]) -> None:
    if not all(isinstance(key, _PLAIN) for key in keys):  # the hash of nested tuples can take hours
        raise pickle.UnpicklingError("a dictionary key is not a plain value")


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
