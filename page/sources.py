"""The page's scripts, styles and templates: the files of this folder."""

import re
from pathlib import Path


FOLDER = Path(__file__).parent
INCLUDED = re.compile(r"<!-- (\w+\.html) -->")


def source(*names: str) -> str:
    """Files of this folder as one text, in this order."""
    return "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in names)


def template(path: Path) -> str:
    """An HTML file, in which `<!-- NAME.html -->` stands for a file of this folder."""
    return INCLUDED.sub(lambda match: template(FOLDER / match[1]).strip(), path.read_text(encoding="utf-8"))
