"""Every sentence of the page, a file for each language; the browser's language chooses, English stands in."""

import json
from pathlib import Path


TEXTS: dict[str, dict[str, str]] = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(Path(__file__).parent.glob("*.json"))
}
ENGLISH = TEXTS["en"]
