"""Print the README's table: medians over the `evaluation.json` files that are named; see `make quality`."""

import json
import sys
from pathlib import Path
from statistics import median
from typing import Any


def main(paths: list[str]) -> None:
    """Print a Markdown table for each split."""
    runs = [json.loads(Path(path).read_text())["against"] for path in paths]
    for number, table in enumerate(runs[0]):
        by_name: dict[str, list[dict[str, Any]]] = {}
        for run in runs:
            for standing in run[number]["standings"]:
                by_name.setdefault(standing["name"], []).append(standing)
        print_table(table["split"], by_name)


def print_table(split: str, by_name: dict[str, list[dict[str, Any]]]) -> None:
    """Print one split's medians, with the range of F1."""
    qualities = {name: [standing["quality"] for standing in ones] for name, ones in by_name.items()}
    kinds = sorted({kind for ones in qualities.values() for one in ones for kind in one["recall_by_kind"]})
    head = [f"split {split}", "F1 (least to most)", "MCC", *kinds, "Normal called Faulty", "s per million"]
    print("| " + " | ".join(head) + " |")
    print("|---" * len(head) + "|")
    for name, ones in qualities.items():
        scores = [one["f1"] or 0.0 for one in ones]
        recalls = [
            median([one["recall_by_kind"][kind] for one in ones if kind in one["recall_by_kind"]])
            for kind in kinds
        ]
        cells = [
            name,
            f"{median(scores):.3f} ({min(scores):.3f} to {max(scores):.3f})",
            f"{median([one['mcc'] or 0.0 for one in ones]):.3f}",
            *(f"{recall:.2f}" for recall in recalls),
            f"{median([one['false_share'] for one in ones]):.3f}",
            f"{median([standing['seconds_per_million'] for standing in by_name[name]]):.2f}",
        ]
        print("| " + " | ".join(cells) + " |")
    print()


if __name__ == "__main__":
    main(sys.argv[1:])
