"""Bring a checkpoint of before the table of heads up to date: weights, config.json, recipe.json, metrics.json.

python -m scripts.migrate_heads FOLDER...

Also for folders with results alone. The logits stay what they were.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file


RENAMED = {
    "classifier.dense_layers.": "classifier.heads.sequence.dense_layers.",
    "classifier.output.": "classifier.heads.sequence.output.",
    "classifier.functional.linear.": "classifier.heads.functionals_linear.output.",
    "classifier.functional.": "classifier.heads.functionals.",
    "classifier.by_track.linear.": "classifier.heads.descriptors_linear.output.",
    "classifier.by_track.": "classifier.heads.descriptors.",
}
WEIGHT, TWICE = "lstm_weight", "functionals_by_track"


def migrate(folder: Path) -> None:
    """Rewrite what a folder holds of a checkpoint or of results."""
    weights = folder / "model.safetensors"
    if weights.is_file():
        save_file({renamed(name): tensor for name, tensor in load_file(weights).items()}, weights, {"format": "pt"})
    for path in sorted(folder.glob("*.json")):
        content = json.loads(path.read_text())
        if path.name == "config.json":
            path.write_text(json.dumps(with_heads(content), indent=2, sort_keys=True) + "\n")
        elif isinstance(recipe := content.get("recipe", content), dict) and "network" in recipe:
            recipe["network"] = with_heads(recipe["network"])
            path.write_text(json.dumps(content, indent=2) + "\n")


def renamed(name: str) -> str:
    """Today's name of a tensor."""
    for old, new in RENAMED.items():
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name


def with_heads(network: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a network with its heads in one table."""
    rest = {name: value for name, value in network.items() if name not in (WEIGHT, TWICE)}
    if not network.get("functionals") or "heads" in network:
        return rest
    heads = {"sequence": network.get(WEIGHT, 1), "functionals_linear": 1, "functionals": 1}
    if network.get(TWICE):
        heads |= {"descriptors_linear": 1, "descriptors": 1}
    return rest | {"heads": heads}


if __name__ == "__main__":
    for argument in sys.argv[1:] or sys.exit(__doc__):
        migrate(Path(argument))
