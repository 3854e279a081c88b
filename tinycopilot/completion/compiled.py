"""Functions compiled to machine code by Numba on their first call. They release the GIL.

Compiling everything takes some seconds, so machine code is cached on disk: in NUMBA_CACHE_DIR or else next to the
sources, else in the user's cache folder or a private temporary one (`compiled_code_folder`). If no folder is private
and writable, each process compiles.

Numba's own cache has an index file for each function, which two processes can overwrite, and it detects changes only in
the function's own file, although functions of other files are inlined. So here each function, signature and CPU has its
own file, whose name depends on all SOURCES. A damaged file is never loaded.

Loading is most of a start, so only what machine code needs to run is loaded: not the registries, with which Numba
compiles, and no bitcode.
"""

import contextlib
import functools
import hashlib
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite.binding  # type: ignore[import-untyped]
import numba
from numba import carray, njit, types  # type: ignore[attr-defined]
from numba.core import config
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import compile_result
from numba.core.registry import cpu_target
from numba.core.runtime import _nrt_python  # type: ignore[attr-defined]
from numba.extending import intrinsic, register_jitable

from tinycopilot.atomic import atomic_write
from tinycopilot.paths import compiled_code_folder

# Numba also reads options from .numba_config.yaml in the working folder, if PyYAML is installed. That folder may be
# anybody's project, and code is loaded from the cache's folder. So only the environment's options apply.
config._config_fname = os.devnull
config.reload_config()
config.DISABLE_JIT = 0  # type: ignore[attr-defined]  # these functions compute with addresses, so cannot run as Python
_given = os.environ.get("NUMBA_CACHE_DIR")
CACHE = compiled_code_folder(Path(_given) if _given else Path(__file__).with_name("__pycache__"))
"""The folder of machine code; None: no folder is writable and the user's own."""

SOURCES = ("compiled.py", "distribution.py", "forward.py", "suffix_array.py")
"""Files with compiled functions. Of this project, they import only each other (compiled.py: atomic.py, paths.py)."""

REORDERED_SUMS = frozenset(("reassoc", "contract", "nsz", "arcp", "afn"))
"""LLVM's fast-math flags without `nnan` and `ninf`: sums may be reordered, eight terms at a time."""
_OPTIONS: Any = {"nogil": True, "no_cfunc_wrapper": True}
"""Release the GIL; generate no wrapper for callers in C."""
_DIGEST_BYTES = 32


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile `function`, which takes and returns arrays and numbers, when it is first called."""
    return _cached(njit(**_OPTIONS)(function))


def compiled_fast(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same, with reordered sums (REORDERED_SUMS) and NumPy's division by 0, since a check would prevent
    vectorization.
    """
    return _cached(njit(fastmath=set(REORDERED_SUMS), error_model="numpy", **_OPTIONS)(function))


def _cached(dispatcher: Any) -> Any:
    if CACHE is not None:
        dispatcher._cache = _Cache(dispatcher.py_func)  # what `cache=True` does with Numba's own class
    return dispatcher


class _Library(JITCodeLibrary):
    """Machine code from the cache. Its bitcode is parsed only when a function that calls it is compiled."""

    def __init__(self, codegen: Any, name: str, machine_code: bytes, bitcode: bytes) -> None:
        super().__init__(codegen, name)
        self._bitcode = bitcode
        self.enable_object_caching()
        self._set_compiled_object(machine_code)
        self._finalize_final_module()

    def _get_module_for_linking(self) -> Any:
        if self._shared_module is None:
            self._shared_module = llvmlite.binding.parse_bitcode(self._bitcode)
            self._codegen._engine._load_defined_symbols(self._shared_module)
        return self._shared_module


class _Cache:
    """Machine code of a function on disk: one file for each signature and CPU. Used by Numba's dispatcher."""

    cache_path = str(CACHE)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._name = f"{function.__module__}.{function.__qualname__}"
        self._bytecode = function.__code__.co_code

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """Return the compiled function from its file; None if there is none that can be used."""
        codegen = target_context.codegen()
        try:
            _add_runtime()
            content = self._path(signature, codegen).read_bytes()
            digest, data = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
            if hashlib.sha256(data).digest() != digest:
                return None
            name, code, description, environment, signature, environments = pickle.loads(data)
            library = _Library(codegen, name, *code)
            for one in environments:
                codegen.set_env(one.env_name, one)
            codegen._engine._defined_symbols |= {description.llvm_func_name, description.llvm_cpython_wrapper_name}
            return compile_result(
                typing_context=target_context.typing_context, target_context=target_context, library=library,
                entry_point=target_context.get_executable(library, description, environment), environment=environment,
                fndesc=description, signature=signature, objectmode=False, lifted=(),
            )  # fmt: skip
        except Exception:  # whatever is wrong with the file, the function can be compiled
            return None

    def save_overload(self, signature: Any, result: Any) -> None:
        """Write atomically. If the disk is full or read-only, the compiled function is used without a file.

        Environments without constants are unused, and restoring one imports a module of Numba, so they are left out.
        """
        if result.library.has_dynamic_globals:  # addresses that are valid only in this process
            return
        (name, _, code), description, environment, its_signature, *_, environments = result._reduce()
        used = [one for one in environments if one.consts]
        data = pickle.dumps((name, code, description, environment, its_signature, used), pickle.HIGHEST_PROTOCOL)
        path = self._path(signature, result.codegen)
        with contextlib.suppress(OSError):
            _remove_outdated(path)
            with atomic_write(path) as file:
                file.write(hashlib.sha256(data).digest() + data)

    def _path(self, signature: Any, codegen: Any) -> Path:
        return _path(self._name, "compiled", (signature, codegen.magic_tuple(), self._bytecode))


@functools.cache
def _add_runtime() -> None:
    """Let machine code call Numba's runtime, which counts references. (Numba does so before it compiles anything.)"""
    for name, address in _nrt_python.c_helpers.items():
        llvmlite.binding.add_symbol(name if name.startswith("_") else f"NRT_{name}", address)


def is_compiled(variant: str) -> bool:
    """Whether all functions are cached for this CPU and these sources (see `mark_compiled`).

    `variant` names the types that they are compiled for.
    """
    return CACHE is not None and _marker(variant).exists()


def mark_compiled(variant: str) -> None:
    """Note that all functions have been called with the types of `variant`, and so are in the cache."""
    if CACHE is not None:
        with contextlib.suppress(OSError):
            _remove_outdated(_marker(variant))
            _marker(variant).touch()


def _marker(variant: str) -> Path:
    return _path(variant, "all", cpu_target.target_context.codegen().magic_tuple())


def _path(name: str, suffix: str, key: object) -> Path:
    """The file for `name`, the sources, `key`, and the versions that machine code depends on."""
    assert CACHE is not None
    depends_on = (key, numba.__version__, llvmlite.__version__, sys.version_info[:2])
    digest = hashlib.sha256(repr(depends_on).encode()).hexdigest()[:16]
    return CACHE / f"{name}.{_sources_digest()}.{digest}.{suffix}"


def _remove_outdated(path: Path) -> None:
    """Remove the files of the same name for other sources."""
    name, sources, _, suffix = path.name.rsplit(".", 3)
    for other in path.parent.glob(f"{name}.*.{suffix}"):
        if not other.name.startswith(f"{name}.{sources}."):
            other.unlink(missing_ok=True)


@functools.cache
def _sources_digest() -> str:
    """A digest of SOURCES, 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for name in SOURCES:
        digest.update(Path(__file__).with_name(name).read_bytes())
    return digest.hexdigest()[:16]


@intrinsic
def _pointer(_context: Any, address: Any) -> Any:
    def to_pointer(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.voidptr(address), to_pointer


@register_jitable
def array_at(address, shape, dtype):  # type: ignore[no-untyped-def]
    """The array of that shape and type at an address, in a compiled function."""
    return carray(_pointer(address), shape, dtype)  # type: ignore[call-arg]  # (the first is the compiler's)
