"""Rules of the test Hub for the YAML front matter of a README.md.

The rules are those of the Hub's documentation that a card of this project can break
(https://huggingface.co/docs/hub/model-cards, https://huggingface.co/docs/hub/spaces-config-reference);
a card that passes here may still break a rule that only the Hub knows.
"""

import re

import yaml


FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*$", re.DOTALL | re.MULTILINE)
TEXT_LIST_KEYS = ("language", "license", "tags", "datasets", "metrics", "models")
SPACE_SDKS = ("docker", "gradio", "static", "streamlit")
SPACE_COLOURS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")
SPACE_DESCRIPTION_CHARACTERS = 60
NO_METADATA_WARNING = "empty or missing yaml metadata in repo card"


def front_matter(content: str) -> dict | None:
    """The metadata of a card, or None when there is none.

    Raises:
        ValueError: when it is no YAML mapping.
    """
    match = FRONT_MATTER.match(content)
    if match is None:
        return None
    try:
        metadata = yaml.safe_load(match.group(1))
    except yaml.YAMLError as error:
        raise ValueError(f"YAML metadata cannot be read: {error}") from error
    if metadata is not None and not isinstance(metadata, dict):
        raise ValueError("YAML metadata must be a mapping")
    return metadata


def front_matter_errors(content: str, repo_type: str) -> list[str]:
    """Why the Hub would refuse a README.md; empty when it would take it."""
    try:
        metadata = front_matter(content) or {}
    except ValueError as error:
        return [str(error)]
    errors = [f'"{key}" must be a text or a list of texts' for key in TEXT_LIST_KEYS if not _is_texts(metadata, key)]
    if repo_type == "space":
        errors += _space_errors(metadata)
    if repo_type == "model" and "model-index" in metadata:
        errors += _model_index_errors(metadata["model-index"])
    return errors


def _is_texts(metadata: dict, key: str) -> bool:
    value = metadata.get(key, [])
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value))


def _space_errors(metadata: dict) -> list[str]:
    choices = {"sdk": SPACE_SDKS, "colorFrom": SPACE_COLOURS, "colorTo": SPACE_COLOURS}
    errors = [
        f'"{key}" must be one of {", ".join(accepted)}'
        for key, accepted in choices.items()
        if key in metadata and metadata[key] not in accepted
    ]
    if len(str(metadata.get("short_description", ""))) > SPACE_DESCRIPTION_CHARACTERS:
        errors.append(f'"short_description" must have at most {SPACE_DESCRIPTION_CHARACTERS} characters')
    return errors


def _model_index_errors(model_index: object) -> list[str]:
    if not isinstance(model_index, list):
        return ['"model-index" must be an array']
    errors = []
    for number, model in enumerate(model_index):
        where = f"model-index[{number}]"
        errors += _missing(model, where, "name", "results")
        for place, result in enumerate(_items(model, "results")):
            errors += _result_errors(result, f"{where}.results[{place}]")
    return errors


def _result_errors(result: object, where: str) -> list[str]:
    errors = _missing(result, where, "task", "dataset", "metrics")
    if not errors:
        errors += _missing(result["task"], f"{where}.task", "type")
        errors += _missing(result["dataset"], f"{where}.dataset", "type", "name")
        for number, metric in enumerate(_items(result, "metrics")):
            errors += _missing(metric, f"{where}.metrics[{number}]", "type", "value")
    return errors


def _items(parent: object, key: str) -> list:
    value = parent.get(key) if isinstance(parent, dict) else None
    return value if isinstance(value, list) else []


def _missing(value: object, where: str, *keys: str) -> list[str]:
    if not isinstance(value, dict):
        return [f'"{where}" must be an object']
    return [f'"{where}.{key}" is required' for key in keys if value.get(key) is None]
