"""Several recordings from a program: files that it uploaded, or addresses, because an MCP client cannot upload."""

import asyncio

import numpy as np
from gradio.components.api_component import Api
from gradio.data_classes import FileData, GradioRootModel
from gradio.processing_utils import save_base64_to_cache

from page import limits
from page.fetching import SHOWN, WEB, fetch_web, unfetched
from ser_model.audio_io import AudioError, load_audio


DATA = "data:"
FILE_SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}, "meta": {"type": "object"}}}
ADDRESS_SCHEMA = {"type": "string", "format": "uri"}


class FilesOrAddresses(GradioRootModel):
    """Uploaded files, and addresses (https, http or data) as strings."""

    root: list[FileData | str]


def recordings_input() -> Api:
    """An input that gives `FilesOrAddresses`; gradio refuses every file in it that was not uploaded.

    A gr.File would do, but its schema has references, which are not found in the schema of an MCP tool.
    """
    component = Api(None, {"type": "array", "items": {"anyOf": [ADDRESS_SCHEMA, FILE_SCHEMA]}}, "Recordings")
    component.data_model = FilesOrAddresses
    return component


def load(path: str) -> np.ndarray:
    """
    The waveform of a recording, float32 (samples,) at 16 kHz.

    Raises:
        AudioError: it cannot be used, or has more than `RECORDING_SECONDS`.
    """
    return load_audio(path, max_duration=limits.RECORDING_SECONDS)


def fetch(recording: FileData | str, folder: str) -> str:
    """
    The path of a recording. One at an address is fetched into `folder`, from public servers only.

    Raises:
        AudioError: nothing could be fetched.
    """
    if isinstance(recording, FileData):
        return recording.path
    if recording.startswith(WEB):
        return asyncio.run(fetch_web(recording, folder))
    if recording.startswith(DATA):
        try:
            return save_base64_to_cache(recording, folder)
        except Exception as error:  # whatever gradio raises at what is no base64
            raise unfetched(recording, str(error)) from error
    raise AudioError(f"'{recording[:SHOWN]}' is no address: it begins with https://, http:// or data:.")
