"""The site: each page of docs/ is in its navigation once, and the index links nothing else. `make site` builds it."""

import importlib.util
import re
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def site() -> ModuleType:
    spec = importlib.util.spec_from_file_location("navigation", DOCS / "navigation.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pages_of(docs: Path) -> list[str]:
    pages = [*docs.glob("*.md"), *docs.glob("tour/*.md")]
    return sorted(page.relative_to(docs).with_suffix("").as_posix() for page in pages if page != docs / "index.md")


def test_each_page_is_in_the_navigation_once(site: ModuleType) -> None:
    groups = site.navigation()
    assert list(groups) == ["Start", "Use", "Learn", "Understand", "Reference"]
    assert sorted(page for pages in groups.values() for page in pages) == pages_of(DOCS)


def test_pages_below_the_tour_are_all_on_the_site() -> None:
    """A page in another folder would be built, and reached from nowhere."""
    assert {page.parent for page in DOCS.rglob("*.md") if "reference" not in page.parts} <= {DOCS, DOCS / "tour"}


def test_tour_is_picked_up_in_order(site: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "tour").mkdir()
    for name in ("02-b", "what-breaks", "01-a", "index"):
        (tmp_path / "tour" / f"{name}.md").write_text("# A chapter\n")
    index = "# Site\n\n## Start\n\n- [a](a.md): x\n- [b](b.md)\n\n## Learn\n\n- [tour](tour/index.md)\n- [c](c.md#d)\n"
    (tmp_path / "index.md").write_text(index + "- [e](e.md)\n")
    assert site.navigation(tmp_path) == {
        "Start": ["a", "b"],
        "Learn": ["tour/index", "tour/01-a", "tour/02-b", "tour/what-breaks", "e"],
    }


def test_index_links_each_page_once() -> None:
    links = Counter(re.findall(r"\]\(([\w-]+\.md)\)", (DOCS / "index.md").read_text("utf-8")))
    assert set(links.values()) == {1}
