"""The addresses that the test Hub answers, as huggingface_hub 2 asks for them: one function each, from a parsed
request to a response, over the repositories in hub_storage."""

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote

from tests.hub_metadata import NO_METADATA_WARNING, front_matter, front_matter_errors
from tests.hub_storage import DEFAULT_BRANCH, Blob, Commit, HubError, Repository, Storage, User


KIND = r"(?P<kind>model|dataset|space)s"
REPO_ID = r"(?P<repo_id>[^/]+(?:/[^/]+)?)"
REVISION = r"(?P<revision>[^/]+)"
REPOSITORY = f"/api/{KIND}/{REPO_ID}"
BYTE_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass(frozen=True)
class Request:
    """A request that arrived whole. `address` is the server's own, `parts` the named pieces of the path, decoded."""

    address: str
    query: str
    headers: dict[str, str]
    body: bytes
    user: User | None
    parts: dict[str, str]

    @property
    def kind(self) -> str:
        return self.parts.get("kind") or "model"

    @property
    def revision(self) -> str:
        return self.parts.get("revision") or DEFAULT_BRANCH

    def json(self) -> dict:
        return json.loads(self.body or b"{}")

    def flag(self, name: str) -> bool:
        """True if a parameter of the query is on."""
        return parse_qs(self.query).get(name, ["false"])[0].lower() in ("1", "true")


@dataclass(frozen=True)
class Response:
    """An answer. For HEAD the body only tells its length."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def json_response(data: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(status, json.dumps(data).encode(), {"Content-Type": "application/json", **(headers or {})})


def error_response(status: int, message: str, code: str | None = None) -> Response:
    """An error as the Hub words it: the client reads the headers, people read the body."""
    headers = {"X-Error-Message": message.encode("ascii", "replace").decode().replace("\n", " ")}
    if code is not None:
        headers["X-Error-Code"] = code
    return json_response({"error": message}, status, headers)


Answer = Callable[[Storage, Request], Response]
ROUTES: list[tuple[str, re.Pattern, Answer]] = []


def route(method: str, pattern: str) -> Callable[[Answer], Answer]:
    """Register a function for the paths, still percent-encoded, that a pattern matches."""

    def register(answer: Answer) -> Answer:
        ROUTES.append((method, re.compile(pattern), answer))
        return answer

    return register


def find_answer(method: str, path: str) -> tuple[Answer, dict[str, str]]:
    """The function for a path, and the pieces of the path, decoded. HEAD is answered as GET is."""
    for route_method, pattern, answer in ROUTES:
        match = pattern.fullmatch(path)
        if match and route_method == method.replace("HEAD", "GET"):
            return answer, {name: unquote(text) for name, text in match.groupdict().items() if text is not None}
    raise HubError(404, f"The test Hub does not know {method} {path}")


def readable(storage: Storage, request: Request) -> Repository:
    return storage.readable(request.user, request.kind, request.parts["repo_id"])


def writable(storage: Storage, request: Request) -> Repository:
    return storage.writable(request.user, request.kind, request.parts["repo_id"])


def page_address(request: Request, repository: Repository) -> str:
    prefix = "" if repository.repo_type == "model" else f"{repository.repo_type}s/"
    return f"{request.address}/{prefix}{repository.repo_id}"


# Accounts and repositories


@route("GET", "/api/whoami-v2")
def who_am_i(storage: Storage, request: Request) -> Response:
    if request.user is None:
        raise HubError(401, "Invalid username or password.")
    token = {"displayName": "test", "role": request.user.role}
    auth = {"type": "access_token", "accessToken": token}
    return json_response({"type": "user", "name": request.user.name, "orgs": [], "auth": auth})


@route("POST", "/api/repos/create")
def create_repository(storage: Storage, request: Request) -> Response:
    asked = request.json()
    repo_type, repo_id = named_repository(request)
    private = asked.get("visibility") == "private"
    try:
        repository = storage.create(request.user, repo_type, repo_id, private, asked.get("sdk"))
    except HubError as error:
        if error.status != 409:
            raise
        existing = storage.readable(request.user, repo_type, repo_id)
        return json_response({"error": error.message, "url": page_address(request, existing)}, 409)
    return json_response({"name": repo_id, "url": page_address(request, repository)})


def named_repository(request: Request) -> tuple[str, str]:
    """Type and id of the repository that the body names; the namespace is the user's own when none is given."""
    asked = request.json()
    namespace = asked.get("organization") or (request.user.name if request.user else "")
    return asked.get("type") or "model", f"{namespace}/{asked['name']}"


@route("POST", "/api/validate-yaml")
def validate_card(storage: Storage, request: Request) -> Response:
    asked = request.json()
    errors = front_matter_errors(asked["content"], asked.get("repoType", "model"))
    empty = not errors and not front_matter(asked["content"])
    warnings = [{"message": NO_METADATA_WARNING}] if empty else []
    described = {"errors": [{"message": error} for error in errors], "warnings": warnings}
    return json_response(described, 400 if errors else 200)


# Content of a repository


@route("GET", REPOSITORY)
@route("GET", f"{REPOSITORY}/revision/{REVISION}")
def repository_info(storage: Storage, request: Request) -> Response:
    repository = readable(storage, request)
    return json_response(describe_repository(repository, repository.resolve(request.revision), request.flag("blobs")))


@route("GET", f"{REPOSITORY}/tree/{REVISION}(?:/(?P<path>.+))?")
def tree(storage: Storage, request: Request) -> Response:
    commit = readable(storage, request).resolve(request.revision)
    folder = request.parts.get("path", "").strip("/")
    prefix = f"{folder}/" if folder else ""
    entries = tree_entries(commit, prefix)
    if folder and not entries:
        raise HubError(404, f"{folder} does not exist on {request.revision}", "EntryNotFound")
    if not request.flag("recursive"):
        entries = [entry for entry in entries if "/" not in entry["path"][len(prefix) :]]
    return json_response(entries)


@route("POST", f"{REPOSITORY}/paths-info/{REVISION}")
def paths_info(storage: Storage, request: Request) -> Response:
    commit = readable(storage, request).resolve(request.revision)
    wanted = {path.strip("/") for path in parse_qs(request.body.decode()).get("paths", [])}
    return json_response([entry for entry in tree_entries(commit, "") if entry["path"] in wanted])


def describe_repository(repository: Repository, commit: Commit, with_sizes: bool) -> dict:
    card = card_metadata(commit)
    tags = card.get("tags") or []
    return {
        "_id": commit.oid[:24],
        "id": repository.repo_id,
        "author": repository.namespace,
        "sha": commit.oid,
        "createdAt": timestamp(repository.history(commit.oid)[-1]),
        "lastModified": timestamp(commit),
        "private": repository.private,
        "gated": False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": [tags] if isinstance(tags, str) else tags,
        "cardData": card,
        "library_name": card.get("library_name"),
        "pipeline_tag": card.get("pipeline_tag"),
        "sdk": card.get("sdk") or repository.sdk,
        "siblings": [describe_sibling(path, blob, with_sizes) for path, blob in sorted(commit.files.items())],
    }


def card_metadata(commit: Commit) -> dict:
    card = commit.files.get("README.md", Blob(b""))
    return front_matter(card.content.decode()) or {}


def describe_sibling(path: str, blob: Blob, with_sizes: bool) -> dict:
    if not with_sizes:
        return {"rfilename": path}
    described = {"rfilename": path, "size": len(blob.content), "blobId": blob.git_oid}
    if blob.is_large:
        described["lfs"] = {"sha256": blob.sha256, **large_file_sizes(blob)}
    return described


def tree_entries(commit: Commit, prefix: str) -> list[dict]:
    """Every file and folder below a prefix, in the order of their paths."""
    entries = {}
    for path, blob in commit.files.items():
        if path.startswith(prefix):
            entries[path] = describe_file(path, blob)
            for folder in folders_between(prefix, path):
                entries.setdefault(folder, {"type": "directory", "path": folder, "size": 0, "oid": commit.oid})
    return [entries[path] for path in sorted(entries)]


def folders_between(prefix: str, path: str) -> list[str]:
    names = path[len(prefix) :].split("/")[:-1]
    return [prefix + "/".join(names[: depth + 1]) for depth in range(len(names))]


def describe_file(path: str, blob: Blob) -> dict:
    described = {"type": "file", "path": path, "size": len(blob.content), "oid": blob.git_oid}
    if blob.is_large:
        described["lfs"] = {"oid": blob.sha256, **large_file_sizes(blob)}
    return described


def large_file_sizes(blob: Blob) -> dict:
    return {"size": len(blob.content), "pointerSize": len(blob.git_content)}


def timestamp(commit: Commit) -> str:
    return commit.date.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


# Downloads


@route("GET", f"/(?:{KIND}/)?{REPO_ID}/resolve/{REVISION}/(?P<path>.+)")
def download(storage: Storage, request: Request) -> Response:
    repository = readable(storage, request)
    commit = repository.resolve(request.revision)
    told = {"X-Repo-Commit": commit.oid}
    try:
        blob = repository.file(request.parts["path"], commit.oid)
    except HubError as error:
        missing = error_response(error.status, error.message, error.code)
        return Response(missing.status, missing.body, {**missing.headers, **told})
    told |= {"ETag": f'"{blob.content_oid}"', "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
    if blob.is_large:
        told |= {"X-Linked-Etag": f'"{blob.sha256}"', "X-Linked-Size": str(len(blob.content))}
    return ranged_response(blob.content, request.headers.get("range"), told)


def ranged_response(content: bytes, asked: str | None, headers: dict[str, str]) -> Response:
    """The whole content, or the one range of bytes that was asked for."""
    match = BYTE_RANGE.fullmatch(asked or "")
    if match is None or match.groups() == ("", ""):
        return Response(200, content, headers)
    first, last = match.groups()
    start = int(first) if first else max(0, len(content) - int(last))
    end = min(int(last) + 1, len(content)) if first and last else len(content)
    if start >= end:
        return Response(416, b"", {**headers, "Content-Range": f"bytes */{len(content)}"})
    return Response(206, content[start:end], {**headers, "Content-Range": f"bytes {start}-{end - 1}/{len(content)}"})


# Uploads


@route("POST", f"{REPOSITORY}/preupload/{REVISION}")
def plan_upload(storage: Storage, request: Request) -> Response:
    repository = writable(storage, request)
    known = repository.resolve(request.revision).files
    return json_response({"files": [plan_file(repository, known, asked) for asked in request.json()["files"]]})


def plan_file(repository: Repository, known: dict[str, Blob], asked: dict) -> dict:
    """How one file is to be sent, and the id of what is there now, by which the client sees that nothing changed."""
    path = asked["path"]
    mode = repository.upload_mode(path, base64.b64decode(asked["sample"]), asked["size"])
    oid = known[path].content_oid if path in known else None
    return {"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid}


@route("POST", rf"/(?:{KIND}/)?{REPO_ID}\.git/info/lfs/objects/batch")
def plan_large_files(storage: Storage, request: Request) -> Response:
    repository = writable(storage, request)
    objects = [plan_large_file(storage, request, repository, asked) for asked in request.json()["objects"]]
    return json_response({"transfer": "basic", "objects": objects})


def plan_large_file(storage: Storage, request: Request, repository: Repository, asked: dict) -> dict:
    planned = {"oid": asked["oid"], "size": asked["size"]}
    if asked["oid"] not in repository.large_files:
        ticket = storage.issue_ticket(repository, asked["oid"])
        planned["actions"] = {"upload": {"href": f"{request.address}/lfs/{ticket}"}}
    return planned


@route("PUT", "/lfs/(?P<ticket>[^/]+)")
def receive_large_file(storage: Storage, request: Request) -> Response:
    ticket = storage.tickets.get(request.parts["ticket"])
    if ticket is None:
        raise HubError(403, "This address for an upload was never given out")
    ticket.repository.store_large_file(ticket.oid, request.body)
    return Response(200)


@route("POST", f"{REPOSITORY}/commit/{REVISION}")
def make_commit(storage: Storage, request: Request) -> Response:
    repository = writable(storage, request)
    if request.flag("create_pr"):
        raise HubError(400, "The test Hub has no pull requests")
    lines = [json.loads(line) for line in request.body.splitlines()]
    header, operations = lines[0], lines[1:]
    if header["key"] != "header":
        raise HubError(400, "The first line of a commit must be its header")
    operations = [(line["key"], line["value"]) for line in operations]
    commit = repository.commit(request.revision, request.user.name, header["value"], operations)
    address = f"{page_address(request, repository)}/commit/{commit.oid}"
    return json_response({"success": True, "commitOid": commit.oid, "commitUrl": address, "hookOutput": ""})


# Tags


@route("POST", f"{REPOSITORY}/tag/{REVISION}")
def create_tag(storage: Storage, request: Request) -> Response:
    writable(storage, request).create_tag(request.json()["tag"], request.revision)
    return json_response({})
