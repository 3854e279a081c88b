"""The navigation of the site: the groups and links of index.md, and the tour below "Learn"."""

import re
from pathlib import Path

DOCS = Path(__file__).parent
TOUR_GROUP = "Learn"


def navigation(docs: Path = DOCS) -> dict[str, list[str]]:
    """Return each group's pages, as paths below `docs` without suffix, in order.

    The pages of docs/tour need no entry in index.md: its index comes first, then the chapters by number, then the rest.
    """
    groups, text = dict[str, list[str]](), (docs / "index.md").read_text("utf-8")
    for heading, content in re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", text, re.M | re.S):
        pages = re.findall(r"\]\(([\w/-]+)\.md\)", content)
        groups[heading] = [page for page in pages if not page.startswith("tour/")]
    tour = sorted((docs / "tour").glob("*.md"), key=lambda page: (page.stem != "index", page.stem))
    groups[TOUR_GROUP] = [f"tour/{page.stem}" for page in tour] + groups[TOUR_GROUP]
    return groups
