"""Prints the quality table: medians over several `evaluation.json` files; run by `make quality`."""

import json
import sys
from pathlib import Path
from statistics import median
from typing import Any


def main(paths: list[str]) -> None:
    """Print a Markdown table for each split."""
    runs = [json.loads(Path(path).read_text())["against"] for path in paths]
    for number, table in enumerate(runs[0]):
        entries_by_name: dict[str, list[dict[str, Any]]] = {}
        for run in runs:
            for entry in run[number]["standings"]:
                entries_by_name.setdefault(entry["name"], []).append(entry)
        print_table(table["split"], entries_by_name)


def print_table(split: str, entries_by_name: dict[str, list[dict[str, Any]]]) -> None:
    """Print the medians of one split, with the range of F1."""
    qualities = {name: [entry["quality"] for entry in runs] for name, runs in entries_by_name.items()}
    kinds = sorted({kind for runs in qualities.values() for run in runs for kind in run["recall_by_kind"]})
    header = [f"split {split}", "F1 (least to most)", "MCC", *kinds, "Normal called Faulty", "s per million"]
    print("| " + " | ".join(header) + " |")
    print("|---" * len(header) + "|")
    for name, runs in qualities.items():
        scores = [run["f1"] or 0.0 for run in runs]
        recalls = [
            median([run["recall_by_kind"][kind] for run in runs if kind in run["recall_by_kind"]])
            for kind in kinds
        ]
        cells = [
            name,
            f"{median(scores):.3f} ({min(scores):.3f} to {max(scores):.3f})",
            f"{median([run['mcc'] or 0.0 for run in runs]):.3f}",
            *(f"{recall:.2f}" for recall in recalls),
            f"{median([run['false_share'] for run in runs]):.3f}",
            f"{median([entry['seconds_per_million'] for entry in entries_by_name[name]]):.2f}",
        ]
        print("| " + " | ".join(cells) + " |")
    print()


if __name__ == "__main__":
    main(sys.argv[1:])
