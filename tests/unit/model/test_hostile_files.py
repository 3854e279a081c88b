"""Files that are built to exhaust memory or time, or to run code: each is rejected in one line, quickly."""

import io
import json
import math
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import randomize

from tinycopilot.model.gpt import GPTConfig, TinyGPT, load_pair
from tinycopilot.model.storage import ModelFileError, load_data
from tinycopilot.model.storage.weights import config_from_data
from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.paths import ModelPaths
from tinycopilot.training.checkpoint import MAX_PICKLE_BYTES

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")]

MORE_MB = 120
"""Address space that the child process may use in addition to that after its imports."""
LIMIT_S = 60
"""Limit for a loop that would not end; valid files take milliseconds."""

Damage = Callable[[ModelPaths], None]
DAMAGES: dict[str, Damage] = {}


def damage(function: Damage) -> Damage:
    DAMAGES[function.__name__] = function
    return function


def rewrite(path: Path, method: int = zipfile.ZIP_STORED, **records: bytes) -> None:
    """Replace records of the archive at `path`: `data_pkl` stands for data.pkl, `data__0` for data/0."""
    with zipfile.ZipFile(path) as archive:
        [top] = {name.split("/")[0] for name in archive.namelist()}
        contents = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    contents |= {name.replace("__", "/").replace("_", "."): content for name, content in records.items()}
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in contents.items():
            archive.writestr(f"{top}/{name}", content)


def pickle_of(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith("/data.pkl")))


def change(path: Path, **changes: Any) -> None:
    torch.save(torch.load(path, weights_only=True) | changes, path)


def configure(path: Path, **changes: Any) -> None:
    change(path, config=torch.load(path, weights_only=True)["config"] | changes)


def weigh(path: Path, **weights: Any) -> None:
    data = torch.load(path, weights_only=True)["weights"]
    change(path, weights=data | {name.replace("__", "."): weight for name, weight in weights.items()})


def short(text: str) -> bytes:
    """The pickle of a text."""
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def entry(value: bytes) -> bytes:
    """The pickle of {"kind": "model", "config": value}."""
    return b"\x80\x02}(" + short("kind") + short("model") + short("config") + value + b"u."


def call(module: str, name: str, arguments: bytes) -> bytes:
    return f"c{module}\n{name}\n".encode() + arguments + b"R"


def doubled(n: int, pair: bytes) -> bytes:
    """Two of two of two ..., n deep: 2**n in a few bytes."""
    return short("x") + b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + pair for i in range(n))


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch EXPLODED",)


@damage
def calls_the_system(p: ModelPaths) -> None:
    torch.save({"kind": "model", "config": Bomb()}, p.model)


@damage
def calls_the_system_in_protocol_4(p: ModelPaths) -> None:
    rewrite(p.model, data_pkl=pickle.dumps({"kind": "model", "config": Bomb()}, protocol=4))


@damage
def calls_bytearray(p: ModelPaths) -> None:
    """`torch.load(weights_only=True)` allows this."""
    rewrite(p.model, data_pkl=entry(call("__builtin__", "bytearray", b"J" + struct.pack("<i", 2**31 - 1) + b"\x85")))


@damage
def builds_an_object(p: ModelPaths) -> None:
    rewrite(p.model, data_pkl=entry(call("collections", "OrderedDict", b")") + b"}" + short("a") + b"K\x01sb"))


@damage
def tuples_of_tuples_as_a_key(p: ModelPaths) -> None:
    rewrite(p.model, data_pkl=entry(b"}" + doubled(60, b"\x86") + b"K\x01s"))


@damage
def lists_of_lists_as_a_number(p: ModelPaths) -> None:
    """The message must not quote it, which would be huge."""
    rewrite(p.model, data_pkl=entry(b"}" + short("vocab_size") + doubled(60, b"\x86") + b"s"))


@damage
def a_list_in_itself(p: ModelPaths) -> None:
    rewrite(p.model, data_pkl=entry(b"]q\x01h\x01a"))


@damage
def a_million_dictionaries(p: ModelPaths) -> None:
    rewrite(p.model, data_pkl=entry(b"](" + b"}" * 5_000_000 + b"e"))


@damage
def a_text_longer_than_the_file(p: ModelPaths) -> None:
    rewrite(p.model, data_pkl=entry(b"X" + struct.pack("<I", 2**32 - 1)))


@damage
def a_pickle_without_an_end(p: ModelPaths) -> None:
    rewrite(p.model, data_pkl=pickle_of(p.model)[:-1])


@damage
def a_pickle_that_takes_from_an_empty_stack(p: ModelPaths) -> None:
    rewrite(p.model, data_pkl=b"\x80\x02\x87.")


@damage
def a_pickled_tensor_in_a_number(p: ModelPaths) -> None:
    configure(p.model, n_layers=torch.ones(2))


@damage
def a_zip_bomb(p: ModelPaths) -> None:
    rewrite(p.model, zipfile.ZIP_DEFLATED, data__0=bytes(150_000_000))


@damage
def a_zip_bomb_for_a_tokenizer(p: ModelPaths) -> None:
    rewrite(p.tokenizer, zipfile.ZIP_DEFLATED, data_pkl=entry(b"N") + bytes(150_000_000))


@damage
def files_that_lie_over_each_other(p: ModelPaths) -> None:
    """The directory lists a hundred records that all cover the whole file."""
    output, block = io.BytesIO(), bytes(1_000_000)
    with zipfile.ZipFile(output, "w") as archive:
        archive.writestr("m/data.pkl", entry(b"N"))
        archive.writestr("m/byteorder", sys.byteorder)
        archive.writestr("m/data/0", block)
        info = archive.getinfo("m/data/0")
        for i in range(1, 100):
            again = zipfile.ZipInfo(f"m/data/{i}")
            again.header_offset, again.file_size, again.compress_size = info.header_offset, len(block), len(block)
            again.CRC = info.CRC
            archive.filelist.append(again)
    p.model.write_bytes(output.getvalue())


@damage
def a_directory_of_a_million_files(p: ModelPaths) -> None:
    name = b"m/data/0"
    one = b"PK\1\2" + struct.pack("<HHHHHHLLLHHHHHLL", 20, 20, 0, 0, 0, 0, 0, 0, 0, len(name), 0, 0, 0, 0, 0, 0) + name
    n = 1_000_000
    with p.model.open("wb") as file:
        file.write(b"PK\3\4" + bytes(26))
        file.write(one * n)
        file.write(b"PK\6\6" + struct.pack("<QHHLLQQQQ", 44, 45, 45, 0, 0, n, n, n * len(one), 30))
        file.write(b"PK\6\7" + struct.pack("<LQL", 0, 30 + n * len(one), 1))
        file.write(b"PK\5\6" + struct.pack("<HHHHLLH", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0))


@damage
def ten_gigabytes_of_holes(p: ModelPaths) -> None:
    with p.model.open("r+b") as file:
        file.truncate(10_000_000_000)


@damage
def ten_gigabytes_of_holes_in_a_tokenizer(p: ModelPaths) -> None:
    with p.tokenizer.open("r+b") as file:
        file.truncate(10_000_000_000)


@damage
def a_tensor_that_claims_more_than_it_has(p: ModelPaths) -> None:
    """Otherwise, memory behind the data would be read."""
    weigh(p.model, head__weight=torch.zeros(10))
    changed = pickle_of(p.model).replace(b"K\x0atq", b"J" + struct.pack("<i", 2**31 - 1) + b"tq")
    assert changed != pickle_of(p.model)
    rewrite(p.model, data_pkl=changed)


@damage
def a_tensor_that_is_larger_than_its_numbers(p: ModelPaths) -> None:
    weigh(p.model, head__weight=torch.zeros(10))
    changed = pickle_of(p.model).replace(b"K\x0a\x85q", b"J" + struct.pack("<i", 2**31 - 1) + b"\x85q")
    assert changed != pickle_of(p.model)
    rewrite(p.model, data_pkl=changed)


@damage
def one_number_a_billion_times(p: ModelPaths) -> None:
    weigh(p.model, head__weight=torch.zeros(1).expand(1_000_000_000))


@damage
def a_storage_of_as_many_numbers_as_a_view(p: ModelPaths) -> None:
    """The number of values is multiplied by their size."""
    stored = b"(" + short("storage") + b"ctorch\nByteStorage\n" + short("0") + short("cpu")
    view = b"(" + stored + b"K\x04tQK\x00" + b"J\x00\x94\x35\x77\x85K\x00\x85t"
    torch.save({"kind": "model", "config": torch.zeros(4, dtype=torch.uint8)}, p.model)
    rewrite(p.model, data_pkl=entry(stored + call("torch._utils", "_rebuild_tensor_v2", view) + b"tQ"))


@damage
def a_tensor_as_the_kind(p: ModelPaths) -> None:
    change(p.model, kind=torch.zeros(2))


@damage
def a_sparse_tensor(p: ModelPaths) -> None:
    weigh(p.model, head__weight=torch.sparse_coo_tensor(size=(100_000, 100_000)))


@damage
def layers_that_share_their_weights(p: ModelPaths) -> None:
    """A network of 60 million parameters; the file stores one layer's."""
    shape = {"n_layers": 20, "n_heads": 2, "d_model": 512, "window": 8, "conv_width": 1}
    data = torch.load(p.model, weights_only=True)
    with torch.device("meta"):
        expected = TinyGPT(GPTConfig(data["config"]["vocab_size"], **shape)).state_dict()
    stored = torch.zeros(4 * 512 * 512)
    weights = {name: stored[: like.numel()].view(like.shape) for name, like in expected.items()}
    change(p.model, config=data["config"] | shape, weights=weights)


@damage
def weights_of_whole_numbers(p: ModelPaths) -> None:
    weigh(p.model, ln__bias=torch.zeros(32, dtype=torch.int32))


@damage
def weights_in_float64(p: ModelPaths) -> None:
    weigh(p.model, ln__bias=torch.zeros(32, dtype=torch.float64))


@damage
def weights_in_float16(p: ModelPaths) -> None:
    weigh(p.model, ln__bias=torch.zeros(32, dtype=torch.float16))


@damage
def weights_of_complex_numbers(p: ModelPaths) -> None:
    weigh(p.model, ln__bias=torch.zeros(32, dtype=torch.complex64))


@damage
def weights_in_a_type_that_numpy_lacks(p: ModelPaths) -> None:
    weigh(p.model, ln__bias=torch.zeros(32).to(torch.float8_e4m3fn))


@damage
def one_bfloat16_a_billion_times(p: ModelPaths) -> None:
    weigh(p.model, head__weight=torch.zeros(1, dtype=torch.bfloat16).expand(1_000_000_000))


@damage
def layers_in_bfloat16_that_share_their_weights(p: ModelPaths) -> None:
    shape = {"n_layers": 20, "n_heads": 2, "d_model": 512, "window": 8, "conv_width": 1}
    config = torch.load(p.model, weights_only=True)["config"] | shape
    stored = torch.zeros(4 * 512 * 512, dtype=torch.bfloat16)
    weights = {name: stored[: math.prod(s)].view(s) for name, s in GPTConfig(**config).weight_shapes().items()}
    change(p.model, config=config, weights=weights)


@damage
def an_empty_tensor_of_a_shape_beyond_all_numbers(p: ModelPaths) -> None:
    weigh(p.model, head__weight=torch.zeros(0, 10))
    changed = pickle_of(p.model).replace(b"K\x00K\x0a\x86", b"K\x00" + b"\x8a\x0a" + b"\xff" * 9 + b"\x7f\x86")
    assert changed != pickle_of(p.model)
    rewrite(p.model, data_pkl=changed)


@damage
def infinite_weights_in_bfloat16(p: ModelPaths) -> None:
    weigh(p.model, ln__bias=torch.full((32,), float("inf"), dtype=torch.bfloat16))


@damage
def infinite_weights(p: ModelPaths) -> None:
    weigh(p.model, ln__bias=torch.full((32,), float("inf")))


@damage
def a_flipped_bit(p: ModelPaths) -> None:
    content = bytearray(p.model.read_bytes())
    weight = torch.load(p.model, weights_only=True)["weights"]["embedding.weight"]
    content[content.index(bytes(weight.untyped_storage())) + 5] ^= 1  # still a number, but another one
    p.model.write_bytes(content)


@damage
def another_order_of_bytes(p: ModelPaths) -> None:
    rewrite(p.model, byteorder=b"big" if sys.byteorder == "little" else b"little")


@damage
def names_that_break_lines(p: ModelPaths) -> None:
    weigh(p.model, **{"a\nb\x1b[2J" + "c" * 100_000: torch.zeros(1)})
    data = torch.load(p.model, weights_only=True)["weights"]
    change(p.model, weights={name: w for name, w in data.items() if name != "ln.bias"} | {"ln\n": data["ln.bias"]})


@damage
def a_config_with_names_that_break_lines(p: ModelPaths) -> None:
    configure(p.model, **{"a\nb" * 100_000: 1})


@damage
def a_config_with_a_text_for_a_number(p: ModelPaths) -> None:
    configure(p.model, n_layers="9\n" * 100_000)


CONFIGS: list[dict[str, Any]] = [
    *({"n_layers": n} for n in (-1, 0, 1_001, 10_000_000, 10**30, True, 2.0)),
    *({"window": n} for n in (-8, 4_097, 10**9)),
    *({"d_model": n} for n in (-32, 30, 1_000_000)),
    *({"n_heads": n} for n in (-2, 0, 10**6)),
    *({"vocab_size": n} for n in (-1, 1_000_000, 2**40)),
    *({"conv_width": n} for n in (-3, 0, 1_000_000)),
    {"n_layers": 900, "d_model": 128, "window": 4_096},
    {"n_layers": 1_000, "d_model": 2, "n_heads": 1},
]


def configured(changes: dict[str, Any]) -> Damage:
    return lambda p: configure(p.model, **changes)


CASES = DAMAGES | {f"config {changes}": configured(changes) for changes in CONFIGS}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return all hostile files, each in its own folder."""
    top = tmp_path_factory.mktemp("hostile")
    tokenizer = SimpleTokenizer("\n abcdefghijklmnopqrstuvwxyz")
    model = randomize(TinyGPT(GPTConfig(tokenizer.vocab_size, 2, 2, 32, 8, 3)))
    for name, spoil in CASES.items():
        folder = top / str(list(CASES).index(name))
        folder.mkdir()
        pair = ModelPaths(folder / "tiny_gpt.pth", folder / "tokenizer.pth")
        tokenizer.save(pair.tokenizer)
        model.save(pair.model, tokenizer)
        spoil(pair)
    return top


@pytest.fixture(scope="module", params=["tinycopilot.model.gpt", "tinycopilot.completion.network"])
def verdicts(hostile: Path, request: pytest.FixtureRequest) -> dict[str, Any]:
    """Results of one child process with limited memory for all files.

    Once with TinyGPT, once with the compiled network, in a process without PyTorch.
    """
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(hostile), str(len(CASES)), str(MORE_MB), request.param],
        cwd=hostile, capture_output=True, text=True, timeout=LIMIT_S, check=True,
    )  # fmt: skip
    assert not (hostile / "EXPLODED").exists()
    return dict(zip(CASES, json.loads(child.stdout), strict=True))


CHILD = """
import importlib, json, resource, sys
from pathlib import Path
load_pair = importlib.import_module(sys.argv[4]).load_pair
assert ("torch" in sys.modules) == (sys.argv[4] == "tinycopilot.model.gpt")
top, n, more_mb = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
if sys.platform == "linux":
    virtual = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (virtual + more_mb * 1_000_000,) * 2)
said = []
for i in range(n):
    try:
        load_pair(top / str(i) / "tiny_gpt.pth", top / str(i) / "tokenizer.pth")
        said.append(["loaded", "", ""])
    except BaseException as error:
        cause = repr(error.__context__)[:1000]
        said.append([type(error).__name__, str(error).replace(str(top / str(i)), ""), cause])
print(json.dumps(said))
"""


@pytest.mark.parametrize("name", CASES)
def test_hostile_file_is_one_line_with_bounded_time_and_memory(name: str, verdicts: dict[str, Any]) -> None:
    kind, message, cause = verdicts[name]
    assert kind == "ModelFileError", message
    assert message.startswith(("/tiny_gpt.pth: ", "/tokenizer.pth: "))
    assert message.isprintable()
    assert len(message) < 400
    assert "memory" not in cause.lower()  # it was detected before any memory was allocated


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("calls_the_system", "more than data"), ("calls_bytearray", "more than data"),
        ("tuples_of_tuples_as_a_key", "more than data"), ("ten_gigabytes_of_holes", "too large for a model file"),
        ("a_zip_bomb", "damaged"), ("infinite_weights", "ln.bias contains NaN or infinity"),
        ("infinite_weights_in_bfloat16", "ln.bias contains NaN or infinity"),
        ("layers_in_bfloat16_that_share_their_weights", "damaged"), ("weights_in_float16", "not float32"),
        ("weights_of_complex_numbers", "more than data"), ("weights_in_float64", "not float32"),
        ("config {'window': 1000000000}", "window must be a whole number"),
    ],
)  # fmt: skip
def test_hostile_file_error_names_the_problem(name: str, says: str, verdicts: dict[str, Any]) -> None:
    assert says in verdicts[name][1]


def test_config_with_a_huge_cache_is_refused() -> None:
    with pytest.raises(ValueError, match="cache"):
        config_from_data({"vocab_size": 100, "n_layers": 900, "n_heads": 1, "d_model": 64, "window": 4_096})


def test_truncated_file_is_one_line(pair: ModelPaths) -> None:
    content = pair.model.read_bytes()
    for n_bytes in {*range(0, len(content), 3_001), *range(len(content) - 200, len(content), 7)}:
        pair.model.write_bytes(content[:n_bytes])
        with pytest.raises(ModelFileError):
            load_pair(pair.model, pair.tokenizer)


def test_our_files_are_read_as_torch_reads_them(tmp_path: Path) -> None:
    """Views, types, shared and empty tensors, nested plain values."""
    base = torch.arange(24, dtype=torch.float32)
    betas = (0.9, 0.95)
    data = {
        "kind": "x", "a": base.view(4, 6).T[1:3], "b": base, "c": torch.zeros(0, 3), "d": torch.tensor(3),
        "e": torch.ones(2, dtype=torch.bfloat16), "f": torch.tensor([True, False]), "g": torch.tensor(2.5).double(),
        "h": [{"betas": betas, 3: None}, {"betas": betas, -1: 2**40}, [True, "\u2603\ud800", -1.5, (), [], {}]],
    }  # fmt: skip
    torch.save(data, tmp_path / "x")
    mine, theirs = load_data(tmp_path / "x", "x", {}), torch.load(tmp_path / "x", weights_only=True)
    for name in "abcdefg":
        expected = theirs[name].float() if theirs[name].dtype == torch.bfloat16 else theirs[name]
        assert np.array_equal(mine[name], expected.numpy())
        assert mine[name].dtype == expected.numpy().dtype
    assert mine["h"] == theirs["h"] == data["h"]
    assert list(mine) == list(data)


def test_data_has_one_type(tmp_path: Path) -> None:
    """Otherwise, a file could be read once for each type, which takes ten times its size."""
    torch.save({"kind": "x", "a": torch.zeros(4), "b": torch.zeros(4, dtype=torch.int32)}, tmp_path / "x")
    one_file = pickle_of(tmp_path / "x").replace(short("1"), short("0"))
    rewrite(tmp_path / "x", data_pkl=one_file)
    with pytest.raises(ModelFileError, match="damaged"):
        load_data(tmp_path / "x", "x", {})


def test_tensor_of_a_tensor_is_refused(tmp_path: Path) -> None:
    """Its storage would be a view, which can claim any length: memory behind the data would be read."""

    def tensor(storage: bytes, step: int) -> bytes:
        shape, strides = (b"J" + struct.pack("<i", n) + b"\x85" for n in (100, step))
        return call("torch._utils", "_rebuild_tensor_v2", b"(" + storage + b"K\x00" + shape + strides + b"t")

    stored = b"(" + short("storage") + b"ctorch\nFloatStorage\n" + short("0") + short("cpu") + b"K\x01tQ"
    torch.save({"kind": "model", "a": torch.zeros(1)}, tmp_path / "x")
    rewrite(tmp_path / "x", data_pkl=entry(tensor(stored, 0)))
    assert load_data(tmp_path / "x", "model", {})["config"].shape == (100,)
    rewrite(tmp_path / "x", data_pkl=entry(tensor(tensor(stored, 0), 1)))
    with pytest.raises(ModelFileError, match="damaged"):
        load_data(tmp_path / "x", "model", {})


def test_learning_curve_of_a_long_run_is_read_where_expected(tmp_path: Path) -> None:
    torch.save({"kind": "checkpoint", "curve": [i / 7 for i in range(120_000)]}, tmp_path / "c")
    assert len(load_data(tmp_path / "c", "checkpoint", {}, max_pickle_bytes=MAX_PICKLE_BYTES)["curve"]) == 120_000
    with pytest.raises(ModelFileError):
        load_data(tmp_path / "c", "checkpoint", {})
