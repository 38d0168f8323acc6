"""Sends files to the Hub: one commit or none, a tag, patience with a busy Hub, errors that tell what to do."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeVar

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError, HTTPError, RevisionNotFoundError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils.sha import git_hash, sha256


logger = logging.getLogger(__name__)

TRIES = 4
WAIT_SECONDS = 2.0  # before the second try, then twice as long each time; the Hub's own Retry-After goes before
CHANGED_MEANWHILE = (409, 412)
RETRIED = (*CHANGED_MEANWHILE, 429, 500, 502, 503, 504)
ADVICE = {
    401: "The Hub does not accept the token. Set HF_TOKEN to a valid one, or run `hf auth login`.",
    403: "The token may not write there. Use a token with the role “write” of an account that owns {repo_id}, or is a "
    "member of the organisation that does.",
    404: "The Hub shows no such repository to this token. Check the name, and that the token may see it.",
    **dict.fromkeys(
        CHANGED_MEANWHILE, "Somebody else changes the repository at the same time. Run the command again."
    ),
    429: "The Hub takes no more requests for now. Run the command again later; what has arrived is not sent again.",
}
OTHER_ADVICE = "Run the command again; what has arrived is not sent again."

Result = TypeVar("Result")


class HubError(OSError):
    """The Hub did not take the files; the message tells why and what to do."""


@dataclass(frozen=True)
class Repository:
    """Where files go.

    Args:
        repo_id: OWNER/NAME.
        repo_type: "model" or "space".
        private: whether it is to be private; when it is there already, it must be.
        sdk: of a Space: "gradio" or "static".
        owned: shell-style patterns of paths that are ours: what is there and not sent any more is deleted.
    """

    repo_id: str
    repo_type: str = "model"
    private: bool = False
    sdk: str | None = None
    owned: tuple[str, ...] = ()

    def __post_init__(self):
        owner, _, name = self.repo_id.partition("/")
        if not owner or not name or "/" in name:
            raise ValueError(f"--repo-id takes OWNER/NAME, for instance me/speech-emotion; got {self.repo_id!r}.")

    @property
    def address(self) -> dict[str, str]:
        """Arguments by which the functions of HfApi name it."""
        return {"repo_id": self.repo_id, "repo_type": self.repo_type}


@dataclass(frozen=True)
class Sent:
    """Result of sending the files: the commit that holds them all, and how many of them it changed."""

    url: str
    commit: str
    changed: int

    def __str__(self) -> str:
        done = f"{self.changed} files changed" if self.changed else "nothing to change"
        return f"{self.url}: {done}, commit {self.commit[:7]}"


def send(files: Mapping[str, bytes], repository: Repository, *, message: str, tag: str | None = None) -> Sent:
    """
    Bring files to the Hub in one commit; in none if they are all there. Sent again after a failure, it goes on.

    Args:
        files: path in the repository -> content.
        repository: where they go; it is made if it is not there.
        message: title of the commit.
        tag: name for the commit, such as v1.0.

    Raises:
        HubError: no token, no permission, a tag that marks something else, or a Hub that keeps failing.
    """
    if get_token() is None:
        raise HubError("There is no token. Set HF_TOKEN to one that may write, or run `hf auth login`.")
    api = HfApi()
    try:
        url = with_retries(lambda: make_repository(api, repository))
        commit, changed = with_retries(lambda: commit_changes(api, files, repository, message, tag))
        if tag is not None:
            with_retries(lambda: api.create_tag(**repository.address, tag=tag, revision=commit, exist_ok=True))
    except HTTPError as error:
        raise HubError(explain(error, repository.repo_id)) from error
    except RuntimeError as error:  # a large file that did not get through, however often the client tried
        raise HubError(f"{error} {explain(error.__cause__, repository.repo_id)}") from error
    return Sent(url, commit, changed)


def make_repository(api: HfApi, repository: Repository) -> str:
    """Make the repository if it is not there; its address."""
    url = api.create_repo(**repository.address, private=repository.private, space_sdk=repository.sdk, exist_ok=True)
    if repository.private and not api.repo_info(**repository.address).private:
        raise HubError(f"{repository.repo_id} is there and public. Make it private on its page, or choose another.")
    return str(url)


def commit_changes(
    api: HfApi, files: Mapping[str, bytes], repository: Repository, message: str, tag: str | None
) -> tuple[str, int]:
    """The commit that holds the files, made if it is not there, and the number of files that it changed."""
    head = api.repo_info(**repository.address).sha
    present = {
        entry.path: entry.lfs.sha256 if entry.lfs else entry.blob_id
        for entry in api.list_repo_tree(**repository.address, revision=head, recursive=True)
        if isinstance(entry, RepoFile)
    }
    changed = {path: content for path, content in files.items() if present.get(path) not in content_ids(content)}
    dropped = [path for path in present if path not in files and any(fnmatchcase(path, p) for p in repository.owned)]
    if tag is not None:
        check_tag(api, repository, tag, None if changed or dropped else head)
    if not changed and not dropped:
        return head, 0
    operations = [CommitOperationAdd(path, content) for path, content in changed.items()]
    operations += [CommitOperationDelete(path) for path in dropped]
    commit = api.create_commit(**repository.address, operations=operations, commit_message=message, parent_commit=head)
    return commit.oid, len(operations)


def content_ids(content: bytes) -> tuple[str, str]:
    """The ids by which the Hub may know a content: Git's, and that of a large file."""
    return git_hash(content), sha256(content).hexdigest()


def check_tag(api: HfApi, repository: Repository, tag: str, commit: str | None) -> None:
    """Raise HubError if a tag is there and marks another commit than this one, or than one that is not made yet."""
    try:
        marked = api.repo_info(**repository.address, revision=tag).sha
    except RevisionNotFoundError:
        return
    if marked != commit:
        raise HubError(f"{tag} marks other files of {repository.repo_id} already. Give another --revision.")


def with_retries(ask: Callable[[], Result]) -> Result:
    """Result of `ask`; it is asked again while the Hub is busy or out of reach, but not for ever."""
    for attempt in range(1, TRIES):
        try:
            return ask()
        except HTTPError as error:
            if not is_passing(error):
                raise
            wait = seconds_to_wait(error, attempt)
            logger.warning("The Hub: %s Next try in %g s.", describe(error), wait)
            time.sleep(wait)
    return ask()


def is_passing(error: HTTPError) -> bool:
    """True if another try may succeed: a busy Hub, or a connection that broke."""
    return not isinstance(error, HfHubHTTPError) or error.response.status_code in RETRIED


def seconds_to_wait(error: HTTPError, attempt: int) -> float:
    """As long as the Hub asks for, or a little longer with each attempt (1, 2, ...)."""
    asked = error.response.headers.get("Retry-After", "") if isinstance(error, HfHubHTTPError) else ""
    return float(asked) if asked.isdigit() else WAIT_SECONDS * 2 ** (attempt - 1)


def explain(error: BaseException | None, repo_id: str) -> str:
    """Message on what went wrong and what to do."""
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    return f"{describe(error)} {ADVICE.get(status, OTHER_ADVICE).format(repo_id=repo_id)}"


def describe(error: BaseException | None) -> str:
    """Sentence on what went wrong."""
    if isinstance(error, HfHubHTTPError):
        said = error.server_message or error.response.reason_phrase
        return f"HTTP status {error.response.status_code}: {said.strip().rstrip('.')}."
    return f"The connection failed ({type(error).__name__}: {error})."
