"""The warmest reading of each day, from a file of readings."""
import argparse
from collections import defaultdict
from pathlib import Path


def read_days(path: Path) -> dict[str, list[float]]:
    days = defaultdict(list)
    for line in path.read_text(encoding="utf-8").splitlines():
        day, celsius = line.split()
        days[day].append(float(celsius))
    return days


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path, help="a day and a temperature on each line")
    args = parser.parse_args()
