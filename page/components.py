"""The page's own components and its look; their HTML, scripts and styles are the files beside this module."""

import json
from typing import Any

import gradio as gr
from gradio.components.api_component import Api
from gradio_client.utils import python_type_to_json_schema

from page.palette import ACCENT, NEUTRAL, ink_on
from page.sources import FOLDER, source, template
from page.texts import TEXTS
from ser_model.colours import EMOTION_COLOURS


EXAMPLES = ("neutral", "sad", "angry", "happy", "turning", "noise")  # in examples/; emotions are those asked for
SHARED_SCRIPTS = (
    "language.js",
    "faces.js",
    "recording.js",
    "timeline.js",
    "capture.js",
    "voice_switch.js",
    "share.js",
)

translate = gr.I18n(**TEXTS)


def drawn(name: str, value: Any, **props: Any) -> gr.HTML:
    """A part of the page with a template and a script of this name.

    The script draws the value, and every further one that an event returns to it; it also sees the `props`.
    """
    return gr.HTML(
        value,
        html_template=template(FOLDER / f"{name}.html"),
        js_on_load=source(f"{name}.js"),
        apply_default_css=False,
        elem_id=name,
        **props,
    )


def shared_scripts() -> str:
    """Scripts that all parts use, for the head of the page; the texts in them come in every language."""
    all_texts = json.dumps(TEXTS, ensure_ascii=False).replace("<", "\\u003c")
    return f"<script>const allTexts = {all_texts};\n{source(*SHARED_SCRIPTS)}</script>"


def examples() -> gr.HTML:
    """Buttons for the synthetic voices."""
    gr.set_static_paths(FOLDER / "examples")  # gradio's copies would be deleted with the recordings
    return drawn("examples", None, paths={name: str(FOLDER / "examples" / f"{name}.mp3") for name in EXAMPLES})


def typed_json(kind: type, label: str) -> Api:
    """An output for programs: JSON, with the schema of `kind` in the API's description."""
    return Api(None, python_type_to_json_schema(kind), label)


def theme() -> gr.themes.Base:
    """Gradio's plain theme in the page's colours, with a font that gradio itself serves.

    Of this font the weights 400 and 700 are whole; several others that gradio brings lack the Latin letters.
    """
    return gr.themes.Base(
        primary_hue=gr.themes.Color(**ACCENT, name="accent"),
        neutral_hue=gr.themes.Color(**NEUTRAL, name="ink"),
        radius_size="lg",
        font=[gr.themes.LocalFont("IBM Plex Sans", weights=(400, 700)), "system-ui", "sans-serif"],
    ).set(
        body_background_fill="*neutral_50",
        body_text_color_subdued="*neutral_500",
        body_text_color_subdued_dark="*neutral_400",
        block_background_fill_dark="*neutral_900",
        block_radius="20px",
    )


def stylesheet() -> str:
    """The page's rules, and the colour of each emotion with an ink that is legible on it."""
    rules = [
        f'[data-emotion="{emotion}"] {{ --emotion: {colour}; --emotion-ink: {ink_on(colour)}; }}'
        for emotion, colour in EMOTION_COLOURS.items()
    ]
    return "\n".join([*rules, source("page.css")])
