"""Publishing on the Hub: a model with its code, card, figures and exports, and a Space with the page; nothing else."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx
from huggingface_hub import RepoCard
from transformers.dynamic_module_utils import get_relative_import_files

from ser_model.feature_extraction_ser import SERFeatureExtractor
from ser_model.files import CHECKPOINT_FILES, CONFIG_FILE, EXTRACTOR_FILE, TORCH_FILES
from ser_model.metrics_file import METRICS_FILE, read_metrics
from ser_model.onnx_backend import MODEL_FILE
from ser_model.onnx_export import export_onnx, not_exported, quantise_weights
from train.evaluation.adaptation import ADAPTATION_FILE
from train.evaluation.never_heard import NEVER_HEARD_FILE
from train.evaluation.reporting import draw_confusions
from train.evaluation.robustness import ROBUSTNESS_FILE
from train.fit.checkpoint import RECIPE_FILE
from train.publish.hub import Repository, Sent, send
from train.report.model_card import SHIPPED, check_evaluated, render_model_card
from train.report.systems import cross_validation_table


PROJECT = Path(__file__).parents[2]
CARD_FILE = "README.md"
LICENCE_FILE = "LICENSE"
EXAMPLE = Path(__file__).with_name("hub_example.py")
EXAMPLE_FILE = "example.py"
EXAMPLE_MODEL = "OWNER/NAME"  # stands in the example for the id of the model
FIGURES_FOLDER = "figures"
INT8_FILE = "model_int8.onnx"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl")  # nobody should load one; an earlier push may have left some
MODEL_OWNED = ("*.py", "*.onnx", f"{FIGURES_FOLDER}/*", *PICKLES)

SPACE_FILES = ("app.py", "requirements.txt", "packages.txt", LICENCE_FILE)
SPACE_PATTERNS = (
    "page/**/[!.]*.*",
    "ser_model/*.py",
    *(f"{SHIPPED}/{name}" for name in (*CHECKPOINT_FILES, METRICS_FILE, NEVER_HEARD_FILE, RECIPE_FILE)),
)
SPACE_OWNED = ("*.py", "page/*", "ser_model/*")
STATIC_OWNED = ("*.js", "*.mjs", "*.wasm", "*.onnx")


def publish(checkpoint: Path, repo_id: str, *, private: bool = False, tag: str | None = None) -> Sent:
    """
    Bring a checkpoint to the Hub, in one commit.

    Args:
        checkpoint: folder that `python -m train fit` wrote, evaluated.
        repo_id: OWNER/NAME.
        private: whether the repository is private.
        tag: name for the commit, such as v1.0.

    Raises:
        FileNotFoundError: a file is missing; without metrics.json nothing is published.
        HubError: the Hub did not take it.
    """
    repository = Repository(repo_id, private=private, owned=MODEL_OWNED)
    return send(model_files(checkpoint, repo_id), repository, message=f"Publish {tag or 'the model'}", tag=tag)


def publish_space(repo_id: str, *, private: bool = False, static: bool = False) -> Sent:
    """Bring the page to a Space, in one commit; `static` the one that runs in the browser alone. See [`publish`]."""
    sdk, owned = ("static", STATIC_OWNED) if static else ("gradio", SPACE_OWNED)
    repository = Repository(repo_id, repo_type="space", private=private, sdk=sdk, owned=owned)
    return send(space_files(static=static), repository, message="Publish the page")


def model_files(checkpoint: Path, repo_id: str) -> dict[str, bytes]:
    """Path in the repository of the model -> content; everything that is sent is here."""
    check_evaluated(checkpoint)
    copied = (*TORCH_FILES, METRICS_FILE, RECIPE_FILE)
    missing = [name for name in copied if not (checkpoint / name).is_file()]
    if missing:
        raise FileNotFoundError(f"{checkpoint} has no {', '.join(missing)}: it is no checkpoint of this project.")
    code = code_files(checkpoint)
    figures = figure_files(read_metrics(checkpoint))
    exports = exported_files(checkpoint)
    card = render_model_card(
        checkpoint,
        repo_id,
        files_at="",
        figures=list(figures),
        exports=list(exports),
        cross_validation=cross_validation_table(checkpoint),
    )
    measured = [name for name in (NEVER_HEARD_FILE, ROBUSTNESS_FILE, ADAPTATION_FILE) if (checkpoint / name).is_file()]
    return {
        **{name: (checkpoint / name).read_bytes() for name in (*copied, *measured)},
        **code,
        **figures,
        **exports,
        CARD_FILE: str(card).encode(),
        EXAMPLE_FILE: EXAMPLE.read_text().replace(EXAMPLE_MODEL, repo_id).encode(),
        LICENCE_FILE: (PROJECT / LICENCE_FILE).read_bytes(),
    }


def code_files(checkpoint: Path) -> dict[str, bytes]:
    """The modules that transformers imports from the checkpoint's folder, and those that they import."""
    entries = [
        entry
        for name in (CONFIG_FILE, EXTRACTOR_FILE)
        for entry in json.loads((checkpoint / name).read_text()).get("auto_map", {}).values()
    ]
    modules = {checkpoint / f"{entry.partition('.')[0]}.py" for entry in entries}
    missing = sorted(path.name for path in modules if not path.is_file())
    if missing or not modules:
        raise FileNotFoundError(
            f"{checkpoint} lacks the code that loads it ({', '.join(missing) or 'no auto_map'}): "
            f"`python -m train fit` writes it."
        )
    needed = modules | {Path(path) for module in modules for path in get_relative_import_files(module)}
    return {path.name: path.read_bytes() for path in sorted(needed)}


def figure_files(metrics: Mapping[str, Any]) -> dict[str, bytes]:
    """Confusion matrices, drawn from the content of metrics.json."""
    with TemporaryDirectory() as folder:
        draw_confusions(metrics, Path(folder), f"{metrics['split']} split")
        return {f"{FIGURES_FOLDER}/{path.name}": path.read_bytes() for path in sorted(Path(folder).iterdir())}


def exported_files(checkpoint: Path) -> dict[str, bytes]:
    """The checkpoint as ONNX files; none where it has features that cannot be exported."""
    if not_exported(SERFeatureExtractor.from_pretrained(checkpoint)):
        return {}
    with TemporaryDirectory() as folder:
        export_onnx(checkpoint, Path(folder, MODEL_FILE))
        model = Path(folder, MODEL_FILE).read_bytes()
    quantised = onnx.load_from_string(model)
    quantise_weights(quantised)
    return {MODEL_FILE: model, INT8_FILE: quantised.SerializeToString()}


def space_files(*, static: bool = False) -> dict[str, bytes]:
    """Path in the Space -> content: the page, what a prediction needs, and a card with the Space's settings."""
    if static:
        return static_space_files()
    paths = [PROJECT / name for name in SPACE_FILES]
    paths += [path for pattern in SPACE_PATTERNS for path in sorted(PROJECT.glob(pattern)) if path.suffix != ".pyc"]
    return {path.relative_to(PROJECT).as_posix(): path.read_bytes() for path in paths} | {
        CARD_FILE: space_card().encode()
    }


def static_space_files() -> dict[str, bytes]:
    """The same of the page that runs in the browser alone."""
    with TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "scripts.make_web", "--output", folder], cwd=PROJECT, check=True)
        paths = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def space_card() -> str:
    """README's settings of the Space, with a text of two lines: README itself speaks of files that are not there."""
    card = RepoCard.load(PROJECT / CARD_FILE)
    card.text = f"\n# {card.data.title}\n\n{card.data.short_description}.\n"
    return str(card)


def listing(files: Mapping[str, bytes]) -> str:
    """A line for each file, with its size in bytes."""
    width = len(f"{max(map(len, files.values())):,}")
    total = sum(map(len, files.values()))
    lines = [f"{len(content):{width},}  {path}" for path, content in sorted(files.items())]
    return "\n".join([*lines, f"{len(files)} files, {total:,} bytes"])
