"""The repositories of the test Hub: files, commits, branches, tags and who may touch them, all in memory.

Nothing here knows HTTP: a refusal is a HubError that carries the status and the error code that the Hub answers with.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import PurePosixPath

from tests.hub_metadata import front_matter_errors


DEFAULT_BRANCH = "main"
REPOSITORY_TYPES = ("model", "dataset", "space")
LARGE_FILE_BYTES = 10 * 1024 * 1024
# Part of the patterns of large files in the .gitattributes that the Hub gives a new repository.
LARGE_FILE_SUFFIXES = ("arrow", "bin", "gz", "npy", "npz", "onnx", "parquet", "pt", "safetensors", "tar", "zip")


class HubError(Exception):
    """A refusal by the Hub: HTTP status, words for the user, and optionally the code that names the kind of error."""

    def __init__(self, status: int, message: str, code: str | None = None):
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code


@dataclass(frozen=True)
class User:
    """An account, as one of its tokens sees it: a token with the role "read" may not write."""

    name: str
    role: str = "write"


@dataclass(frozen=True)
class Blob:
    """The content of one file. Git keeps a large file (LFS) as a small pointer that names its SHA-256."""

    content: bytes
    is_large: bool = False

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @cached_property
    def git_content(self) -> bytes:
        """Bytes that Git itself stores: the content, or the pointer of a large file."""
        if not self.is_large:
            return self.content
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {len(self.content)}\n"
        return pointer.encode()

    @cached_property
    def git_oid(self) -> str:
        return hashlib.sha1(b"blob %d\0" % len(self.git_content) + self.git_content).hexdigest()

    @property
    def content_oid(self) -> str:
        """The id by which clients recognise the content: SHA-256 of a large file, Git's SHA-1 of any other."""
        return self.sha256 if self.is_large else self.git_oid


@dataclass(frozen=True)
class Commit:
    """One state of a repository: every file, and the commits it was made from."""

    title: str
    description: str
    author: str
    parents: tuple[str, ...]
    files: Mapping[str, Blob]
    date: datetime = field(default_factory=lambda: datetime.now(UTC))

    @cached_property
    def oid(self) -> str:
        """A SHA-1 over all that the commit says, so that equal ids mean equal files and history."""
        tree = {path: blob.content_oid for path, blob in sorted(self.files.items())}
        said = [self.title, self.description, self.author, self.parents, tree, self.date.isoformat()]
        return hashlib.sha1(json.dumps(said).encode()).hexdigest()


class Repository:
    """One model, dataset or Space. It starts with a commit that holds `.gitattributes`, as on the Hub."""

    def __init__(self, repo_type: str, repo_id: str, private: bool = False, sdk: str | None = None):
        self.repo_type = repo_type
        self.repo_id = repo_id
        self.private = private
        self.sdk = sdk
        self.commits: dict[str, Commit] = {}
        self.branches: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.large_files: dict[str, bytes] = {}
        attributes = "".join(f"*.{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LARGE_FILE_SUFFIXES)
        first = Commit("initial commit", "", "system", (), {".gitattributes": Blob(attributes.encode())})
        self._publish(DEFAULT_BRANCH, first)

    @property
    def namespace(self) -> str:
        return self.repo_id.split("/")[0]

    def resolve(self, revision: str = DEFAULT_BRANCH) -> Commit:
        """The commit that a branch, a tag or a commit id (or its first seven or more digits) names."""
        oid = self.branches.get(revision) or self.tags.get(revision) or self._find_oid(revision)
        if oid is None:
            raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return self.commits[oid]

    def history(self, revision: str = DEFAULT_BRANCH) -> list[Commit]:
        """The commits that led to a revision, newest first."""
        commits = [self.resolve(revision)]
        while commits[-1].parents:
            commits.append(self.commits[commits[-1].parents[0]])
        return commits

    def file(self, path: str, revision: str = DEFAULT_BRANCH) -> Blob:
        files = self.resolve(revision).files
        if path not in files:
            raise HubError(404, "Entry not found", "EntryNotFound")
        return files[path]

    @staticmethod
    def upload_mode(path: str, sample: bytes, size: int) -> str:
        """Mode of an upload: within the commit ("regular") or, for large and binary files, ahead of it ("lfs")."""
        by_name = PurePosixPath(path).suffix.removeprefix(".") in LARGE_FILE_SUFFIXES
        return "lfs" if by_name or b"\0" in sample or size >= LARGE_FILE_BYTES else "regular"

    def store_large_file(self, oid: str, content: bytes) -> None:
        if hashlib.sha256(content).hexdigest() != oid:
            raise HubError(400, f"The {len(content)} bytes received do not have the announced SHA-256 {oid}")
        self.large_files[oid] = content

    def commit(self, branch: str, author: str, header: dict, operations: Iterable[tuple[str, dict]]) -> Commit:
        """Apply all operations to the files of a branch, or none of them when one is refused.

        Args:
            branch: name of an existing branch.
            author: user name.
            header: `summary`, `description` and, to insist on the current head, `parentCommit`.
            operations: pairs of the operation's name (file, lfsFile, deletedFile) and its values.
        """
        if branch not in self.branches:
            raise HubError(404, f"Invalid rev id: {branch}", "RevisionNotFound")
        head = self.resolve(branch)
        if not head.oid.startswith(header.get("parentCommit", "")):
            raise HubError(412, "A commit has happened since. Please refresh and try again.")
        files = dict(head.files)
        for name, value in operations:
            self._apply(files, name, value)
        self._check_card(files)
        commit = Commit(header["summary"], header.get("description", ""), author, (head.oid,), files)
        self._publish(branch, commit)
        return commit

    def create_tag(self, name: str, revision: str) -> None:
        if name in self.tags:
            raise HubError(409, f"Reference {name} already exists")
        self.tags[name] = self.resolve(revision).oid

    def _publish(self, branch: str, commit: Commit) -> None:
        self.commits[commit.oid] = commit
        self.branches[branch] = commit.oid

    def _find_oid(self, revision: str) -> str | None:
        matches = [oid for oid in self.commits if len(revision) >= 7 and oid.startswith(revision)]
        return matches[0] if len(matches) == 1 else None

    def _apply(self, files: dict[str, Blob], name: str, value: dict) -> None:
        path = value["path"]
        if name == "file":
            files[path] = Blob(base64.b64decode(value["content"], validate=True))
        elif name == "lfsFile":
            files[path] = Blob(self._large_file(value["oid"]), is_large=True)
        elif name == "deletedFile":
            if files.pop(path, None) is None:
                raise HubError(404, f"A file with this name doesn't exist: {path}", "EntryNotFound")
        else:
            raise HubError(400, f"Unknown operation in a commit: {name}")

    def _large_file(self, oid: str) -> bytes:
        if oid not in self.large_files:
            raise HubError(400, f"Your push was rejected: the LFS pointer {oid} points to a file that does not exist")
        return self.large_files[oid]

    def _check_card(self, files: Mapping[str, Blob]) -> None:
        if "README.md" not in files:
            return
        errors = front_matter_errors(files["README.md"].content.decode(), self.repo_type)
        if errors:
            raise HubError(400, "Invalid metadata in README.md: " + "; ".join(errors))


@dataclass(frozen=True)
class UploadTicket:
    """The permission to send one large file, which stands for the signed address that the Hub gives out."""

    repository: Repository
    oid: str


class Storage:
    """All repositories and accounts, with the Hub's rules on who sees and changes what."""

    def __init__(self):
        self.users: dict[str, User] = {}
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.tickets: dict[str, UploadTicket] = {}

    def user_of(self, token: str | None) -> User | None:
        """The account of a token; None without a token."""
        if token is None:
            return None
        if token not in self.users:
            raise HubError(401, "Invalid credentials in Authorization header")
        return self.users[token]

    def readable(self, user: User | None, repo_type: str, repo_id: str) -> Repository:
        """A repository that the user may see. A private one looks to others as if it did not exist."""
        repository = self.repositories.get((repo_type, repo_id))
        hidden = repository is not None and repository.private and (user is None or user.name != repository.namespace)
        if repository is None or hidden:
            status, message = (401, "Invalid username or password.") if user is None else (404, "Repository not found")
            raise HubError(status, message, "RepoNotFound")
        return repository

    def writable(self, user: User | None, repo_type: str, repo_id: str) -> Repository:
        repository = self.readable(user, repo_type, repo_id)
        if user is None:
            raise HubError(401, "Invalid username or password.", "RepoNotFound")
        self._check_may_write(user, repository.namespace)
        return repository

    def create(
        self, user: User | None, repo_type: str, repo_id: str, private: bool, sdk: str | None = None
    ) -> Repository:
        if user is None:
            raise HubError(401, "Invalid username or password.")
        self._check_may_write(user, repo_id.split("/")[0])
        if repo_type not in REPOSITORY_TYPES:
            raise HubError(400, f"Unknown type of repository: {repo_type}; accepted are {', '.join(REPOSITORY_TYPES)}")
        if (repo_type, repo_id) in self.repositories:
            raise HubError(409, f"You already created this {repo_type} repo: {repo_id}")
        repository = Repository(repo_type, repo_id, private, sdk)
        self.repositories[repo_type, repo_id] = repository
        return repository

    def issue_ticket(self, repository: Repository, oid: str) -> str:
        ticket = secrets.token_urlsafe(16)
        self.tickets[ticket] = UploadTicket(repository, oid)
        return ticket

    @staticmethod
    def _check_may_write(user: User, namespace: str) -> None:
        if user.role != "write":
            raise HubError(403, "Forbidden: you must use a write token to change a repository.")
        if user.name != namespace:
            raise HubError(403, f"Forbidden: you don't have the rights to write under the namespace {namespace}.")
