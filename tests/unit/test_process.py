import gc
import os
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
