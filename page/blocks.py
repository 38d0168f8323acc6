"""gradio's Blocks, but whoever gives it what it cannot use is told so in a sentence."""

import time
from typing import Any

import gradio as gr
from gradio.exceptions import InvalidPathError
from gradio_client.utils import async_traverse, is_file_obj

from page.fetching import WEB, fetch_web
from page.journal import Journal
from page.work import request_id
from ser_model.audio_io import AudioError


NOT_UPLOADED = (
    "This file was not uploaded: upload it to /gradio_api/upload and give the path that comes back, or give an "
    "address that begins with https:// or data:."
)
UNUSABLE = "These arguments cannot be used: /?view=api tells what is expected."


class UnusableError(gr.Error):
    """An input that cannot be used; the log needs no traceback of it."""

    def __init__(self, sentence: str):
        super().__init__(sentence, print_exception=False)


class PoliteBlocks(gr.Blocks):
    """
    Blocks that show their callers a sentence instead of an empty error.

    Attributes:
        journal: in which those are noted.
    """

    journal: Journal

    async def process_api(self, block_fn: Any, inputs: list[Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Output of a function, ready to be sent."""
        began = time.monotonic()
        try:
            return await super().process_api(block_fn, inputs, *args, **kwargs)
        except UnusableError:
            request = kwargs.get("request")
            scope = request.request.scope if isinstance(request, gr.Request) else {}
            seconds = time.monotonic() - began
            self.journal.note(request_id(scope), str(block_fn.api_name), "refused", seconds, "arguments")
            raise

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *args: Any, **kwargs: Any) -> list[Any]:
        """
        The arguments of a function as gradio makes them from what was sent.

        Raises:
            UnusableError: nothing can be made from it.
        """
        try:
            local = await async_traverse(inputs, self.as_local, is_file_obj)
            return await super().preprocess_data(block_fn, local, *args, **kwargs)
        except AudioError as error:
            raise UnusableError(str(error)) from error
        except gr.Error as error:
            raise UnusableError(error.message) from error
        except InvalidPathError as error:
            raise UnusableError(NOT_UPLOADED) from error
        except Exception as error:  # whatever gradio's components raise at what they did not expect
            raise UnusableError(UNUSABLE) from error

    async def as_local(self, file: dict[str, Any]) -> dict[str, Any]:
        """A file of the arguments, fetched if it is at an address: gradio has no limits for that."""
        if not file["path"].startswith(WEB):
            return file
        path = await fetch_web(file["path"], self.GRADIO_CACHE)
        return {**file, "path": path, "url": None}
