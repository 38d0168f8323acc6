"""A general corpus: a CSV, TSV or JSON Lines table of clips with path, label and speaker."""

import codecs
import csv
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

from train.data.base import Corpus, CorpusError, Utterance, common_name, plural
from train.data.folders import corpus_name


# Other headings of a column, in any case of letters and with blanks around.
HEADINGS = {
    **dict.fromkeys(("file", "filename", "file_name", "filepath", "audio", "wav"), "path"),
    **dict.fromkeys(("emotion", "class"), "label"),
    **dict.fromkeys(("speaker_id", "spk"), "speaker"),
    "gender": "sex",
}
MISSING_LABELS = ("nan", "none", "null", "n/a", "<na>")  # what pandas and Python write for a value that is not there
REQUIRED_COLUMNS = ("path", "label")
OPTIONAL_COLUMNS = ("speaker", "sex", "language", "intensity", "sentence")
SEXES = {"f": "female", "female": "female", "m": "male", "male": "male"}
DELIMITERS = {".csv": ",", ".tsv": "\t"}
JSON_LINES = (".jsonl", ".ndjson")


def table_corpus(table: Path) -> Corpus:
    """Corpus of the clips that a table lists; paths in it are absolute or relative to the table's folder.

    Columns: path and label; speaker, sex (female, male, f, m), language, intensity and sentence where they are known.
    Rows without a speaker all count as one, "NAME-unknown".

    Raises:
        CorpusError: no such file, or neither .csv, .tsv, .jsonl nor .ndjson.
    """
    accepted = (*DELIMITERS, *JSON_LINES)
    if not table.is_file():
        raise CorpusError(f"table:{table}: there is no such file. Accepted are {', '.join(accepted)}.")
    if table.suffix.lower() not in accepted:
        raise CorpusError(f"table:{table}: not a table that can be read; accepted are {', '.join(accepted)}.")
    name = corpus_name(table.stem)
    return Corpus(
        name=name,
        title=name,
        language="unknown",
        licence="unknown",
        homepage="",
        labels={},
        speakers={},
        clips=None,
        example="path,label,speaker",
        read=lambda _: read(table, name),
    )


def read(table: Path, corpus: str) -> Iterator[Utterance]:
    """Utterances of all rows.

    Raises:
        CorpusError: a column or a value is missing, a line is no JSON object, or clips that it lists are not there.
    """
    missing = []
    for number, row in rows(table):
        path = clip_path(table, row["path"])
        if path.is_file():
            yield utterance(path, row, corpus)
        else:
            missing.append((number, path))
    if missing:
        number, path = missing[0]
        raise CorpusError(f"{table}: {plural(len(missing), 'clip')} not found; the first is {path} (line {number}).")


def clip_path(table: Path, written: str) -> Path:
    """Absolute path of a clip, written with ~, relative to its table, or with the backslashes of Windows."""
    path = Path(os.path.abspath(table.parent / Path(written).expanduser()))
    if "\\" in written and not path.is_file():
        return Path(os.path.abspath(table.parent / written.replace("\\", "/")))
    return path


def utterance(path: Path, row: dict[str, str], corpus: str) -> Utterance:
    """Utterance of one row of the table."""
    return Utterance(
        path=str(path),
        label=common_name(row["label"]),
        speaker=f"{corpus}-{row['speaker'] or 'unknown'}",
        sex=SEXES.get(row["sex"].lower(), "unknown"),
        corpus=corpus,
        language=row["language"] or "unknown",
        intensity=row["intensity"],
        sentence=row["sentence"],
    )


def rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and known columns of every row, as stripped text, "" for an optional column that is not there."""
    read_rows = json_rows if table.suffix.lower() in JSON_LINES else delimited_rows
    for number, row in read_rows(table):
        values = known_values(row)
        if not any(values.values()):
            continue  # as spreadsheets write them at the end
        for column in REQUIRED_COLUMNS:
            if not values.get(column):
                found = ", ".join(map(str, row)) or "none"
                raise CorpusError(f"{table}, line {number}: no value for {column!r}. Columns of this row: {found}.")
        check_label(values["label"], f"{table}, line {number}")
        yield number, {column: values.get(column, "") for column in REQUIRED_COLUMNS + OPTIONAL_COLUMNS}


def check_label(label: str, where: str) -> None:
    """Raise CorpusError for a label that some program wrote because there was none."""
    if label.lower() in MISSING_LABELS:
        raise CorpusError(
            f"{where}: the label {label!r} stands for a value that is not there. Write the emotion (neutral for "
            "none), or remove the row."
        )


def known_values(row: dict[str, object]) -> dict[str, str]:
    """Values as stripped text by the names of the columns here; a column's own name goes before other headings."""
    values: dict[str, str] = {}
    for heading, value in row.items():
        plain = str(heading).strip().lower()
        column = HEADINGS.get(plain, plain)
        if value is not None and (plain == column or not values.get(column)):
            values[column] = str(value).strip()
    return values


def delimited_rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a CSV or TSV file with a header; the separator is the one that the header has most of."""
    text = decoded(table.read_bytes())
    header = text.partition("\n")[0]
    usual = DELIMITERS[table.suffix.lower()]
    delimiter = max((usual, ",", ";", "\t"), key=header.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    for row in reader:
        row.pop(None, None)  # more cells than headings
        yield reader.line_num, row


def decoded(content: bytes) -> str:
    """Text in UTF-8, or as Excel writes it: UTF-16 with its byte order mark, or cp1252."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def json_rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a file with one JSON object on each line; blank lines are skipped."""
    with open(table, encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, json_object(line, f"{table}, line {number}")


def json_object(line: str, where: str) -> dict[str, str]:
    """One line as a JSON object."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise CorpusError(f"{where}: no valid JSON ({error}).") from error
    if not isinstance(row, dict):
        raise CorpusError(f"{where}: {type(row).__name__} instead of an object with {', '.join(REQUIRED_COLUMNS)}.")
    return row
