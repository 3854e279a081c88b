import gc
import os
import subprocess
import sys

import pytest

from tinycopilot.process import importing, memory_bytes, usable_cores


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_values_from_the_system() -> None:
    now, highest = memory_bytes(), memory_bytes("VmHWM", os.getpid())
    assert now is not None
    assert highest is not None
    assert 10_000_000 < now <= highest * 1.1
    assert memory_bytes("Pss", file="smaps_rollup")


def test_missing_values_are_none() -> None:
    assert memory_bytes(pid=2**30) is None
    assert memory_bytes("NoSuchField") is None


FREES_UNDER_A_SMALL_BLOCK = """
import ctypes
from tinycopilot.process import memory_bytes, return_freed_memory

return_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]

def filled(n):
    block = libc.malloc(ctypes.c_size_t(n))
    ctypes.memset(block, 1, n)
    return block

libc.free(filled(16_000_000))
before = memory_bytes()
blocks = [filled(8_000_000) for _ in range(2)]
filled(1_000)
for block in blocks:
    libc.free(block)
print(memory_bytes() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="sets options of glibc")
def test_freed_memory_is_returned_under_a_block_in_use() -> None:
    output = subprocess.check_output([sys.executable, "-c", FREES_UNDER_A_SMALL_BLOCK], timeout=60)
    assert int(output) < 1_000_000


def test_usable_cores_is_positive() -> None:
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)


def test_imported_objects_are_left_out_of_garbage_collections() -> None:
    try:
        with pytest.raises(ImportError), importing():
            assert not gc.isenabled()
            raise ImportError
        assert gc.isenabled()
        assert gc.get_freeze_count() > 1_000
    finally:
        gc.unfreeze()
