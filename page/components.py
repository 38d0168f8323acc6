"""The page's own components and its look; their HTML, scripts and styles are the files beside this module."""

from pathlib import Path

import gradio as gr
from gradio.components.api_component import Api
from gradio_client.utils import python_type_to_json_schema

from page.answer import Answer
from page.palette import ACCENT, EMOTION_COLOURS, NEUTRAL, ink_on
from page.texts import ENGLISH, TEXTS


FOLDER = Path(__file__).parent
EXAMPLES = ("even", "sharp", "hurried", "turning")  # each in examples/, its name in the texts

translate = gr.I18n(**TEXTS)


def microphone(limit_seconds: int) -> gr.HTML:
    """A large button that records up to `limit_seconds`; its `submit` event carries the uploaded file."""
    return gr.HTML(
        html_template=source("microphone.html"),
        js_on_load=source("language.js", "microphone.js"),
        texts=TEXTS,
        limit_seconds=limit_seconds,
        apply_default_css=False,
        elem_id="microphone",
    )


def answer_card(answer: Answer) -> gr.HTML:
    """The card that draws an `Answer`, and every further one that an event returns to it.

    Its prop `emotions` lists those that have a bar even while there is no answer.
    """
    return gr.HTML(
        answer,
        emotions=[],
        html_template=source("answer.html"),
        js_on_load=source("language.js", "faces.js", "timeline.js", "answer.js"),
        texts=TEXTS,
        apply_default_css=False,
        elem_id="answer",
    )


def examples(recording: gr.Audio) -> gr.Examples:
    """Buttons that put one of the synthetic voices into `recording`."""
    gr.set_static_paths(FOLDER / "examples")  # gradio's copies would be deleted with the recordings
    return gr.Examples(
        [[str(FOLDER / "examples" / f"{name}.mp3")] for name in EXAMPLES],
        recording,
        label=translate("examples"),
        example_labels=[ENGLISH[f"example_{name}"] for name in EXAMPLES],  # gradio does not translate these
        cache_examples=False,
        elem_id="examples",
    )


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


def source(*names: str) -> str:
    """Files of this folder as one text, in this order."""
    return "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in names)
