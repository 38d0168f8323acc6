"""Errors between here and a server, in words that tell what to do."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import requests
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

from train.data.base import CorpusError


NO_CONNECTION = (httpx2.HTTPError, requests.RequestException, LocalEntryNotFoundError, ConnectionError)
REFUSED = (401, 403, 404)  # the Hub says 401 or 404 of a private dataset


class NoConnectionError(CorpusError):
    """A server that does not answer, or stopped in the middle."""


@contextmanager
def as_corpus_errors(title: str, address: str) -> Iterator[None]:
    """
    Context whose errors of network and disk become a CorpusError that says what to do.

    Args:
        title: of the corpus.
        address: `hub:OWNER/NAME`, `kaggle:OWNER/NAME` or a URL.
    """
    try:
        yield
    except CorpusError:
        raise
    except (HfHubHTTPError, requests.HTTPError) as error:
        raise CorpusError(f"{title}: {refusal(error, address)}") from error
    except NO_CONNECTION as error:
        raise NoConnectionError(
            f"{title}: the connection to {address} failed ({error}). Check the network, and run the same command "
            f"again: it goes on where it stopped."
        ) from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise CorpusError(f"{title}: the disk is full. Make room, and run the same command again.") from error


def refusal(error: HfHubHTTPError | requests.HTTPError, address: str) -> str:
    """Meaning of an HTTP error for somebody who wants a corpus, in words."""
    status = error.response.status_code if error.response is not None else None
    if isinstance(error, RepositoryNotFoundError) or status in REFUSED:
        return (
            f"there is no {address}, or it is private or gated and you may not read it. Check the name; to log in, "
            f"set HF_TOKEN for hub:, KAGGLE_API_TOKEN for kaggle:."
        )
    return (
        f"{address} answered {status or 'with an error'} ({str(error).strip().splitlines()[0]}). Run the same command "
        f"again later: it goes on where it stopped."
    )
