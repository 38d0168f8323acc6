"""Fetches a recording from an address: from public servers only, and no more or longer than the limits allow."""

import asyncio
import tempfile
from pathlib import Path
from urllib.parse import unquote, urljoin

import httpx
from gradio.processing_utils import PUBLIC_HOSTNAME_WHITELIST
from gradio_client.utils import strip_invalid_filename_characters
from safehttpx import AsyncSecureTransport, async_validate_url, matches_domain_whitelist

from page import limits
from ser_model.audio_io import AudioError


WEB = ("https://", "http://")
MAX_REDIRECTS = 5
SHOWN = 80  # letters of an address in a message


async def fetch_web(address: str, folder: str) -> str:
    """
    The path of what is at an address, in a new folder in `folder`.

    Raises:
        AudioError: nothing could be fetched, or it is larger than `RECORDING_MEGABYTES`, or takes too long.
    """
    target = Path(tempfile.mkdtemp(dir=folder), name_at(address))
    try:
        async with asyncio.timeout(limits.FETCH_SECONDS):
            await follow(address, target)
    except TimeoutError as error:
        raise unfetched(address, f"it took longer than {limits.FETCH_SECONDS:g} s") from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:  # ValueError: no public server
        raise unfetched(address, str(error)) from error
    finally:
        if not target.exists():
            target.parent.rmdir()
    return str(target)


async def follow(address: str, target: Path) -> None:
    """Write what is at an address, or where that one leads to."""
    for _ in range(MAX_REDIRECTS + 1):
        async with (
            httpx.AsyncClient(transport=await transport_to(address)) as client,
            client.stream("GET", address) as response,
        ):
            if not response.has_redirect_location:
                response.raise_for_status()
                return await write(response, target)
            address = urljoin(address, response.headers["location"])
    raise ValueError(f"it leads on more than {MAX_REDIRECTS} times")


async def transport_to(address: str) -> httpx.AsyncBaseTransport | None:
    """
    Transport to the server of an address, which is looked up once, so that it stays the same.

    Raises:
        ValueError: it is no public server. Hugging Face's are known, though a Space finds them within its own network.
    """
    host = httpx.URL(address).host
    if not address.startswith(WEB) or not host:
        raise ValueError("it leads to no server")
    if matches_domain_whitelist(host, PUBLIC_HOSTNAME_WHITELIST):
        return None
    return AsyncSecureTransport(await async_validate_url(host))


async def write(response: httpx.Response, target: Path) -> None:
    """
    Write a response to a file.

    Raises:
        ValueError: it is larger than `RECORDING_MEGABYTES`; nothing of it is left.
    """
    written = 0
    try:
        with target.open("wb") as stream:
            async for piece in response.aiter_bytes():
                written += len(piece)
                if written > limits.RECORDING_MEGABYTES << 20:
                    raise ValueError(f"it is larger than {limits.RECORDING_MEGABYTES} MB")
                stream.write(piece)
    except BaseException:
        target.unlink()
        raise


def name_at(address: str) -> str:
    """A name for the file at an address."""
    path = address.split("?")[0].split("#")[0].rstrip("/")
    return strip_invalid_filename_characters(Path(unquote(path)).name) or "recording"


def unfetched(address: str, reason: str) -> AudioError:
    """The error for an address without a recording that can be had."""
    return AudioError(f"'{address[:SHOWN]}' could not be fetched: {reason}")
