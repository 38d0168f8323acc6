"""The doors of the page: what may come in, from whom, and how much at once; what may not gets a sentence."""

import asyncio
import contextlib
import json
import logging
import math
import secrets
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, TypedDict

from gradio.route_utils import FnIndexInferError
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from page import limits
from page.journal import CONTENT_TYPE, Journal, Outcome
from page.line import Line
from page.refused import RefusedError
from page.uploads import Uploads
from page.visitors import TOO_MANY, Allowance, Principal, Turns, address_of, on_behalf_header, principal_of
from page.work import ID, RESTARTING


API = "/gradio_api/"
# Gradio's addresses that the page does not need: work outside of the queue, or what is at others' addresses.
CLOSED = tuple(
    API + name
    for name in (
        *("process_recording", "component_server", "deep_link", "proxy=", "file=http:", "file=https:", "file/http"),
        *("stream/", "vibe-", "run-history", "runs"),
    )
)
QUEUED = (f"{API}call/", f"{API}queue/join")
RUN = (f"{API}run/", f"{API}api/")
UPLOAD = f"{API}upload"
TOOLS = f"{API}mcp"
STAYS_OPEN = (f"{API}heartbeat/", TOOLS)  # where it is not sent to but listened to
COSTLY = ("/", "/config", f"{API}info", f"{API}openapi.json")

GRACE_SECONDS = 1.0  # until a program fetches what it has asked

NO_DOOR = "There is nothing at this address: /?view=api tells what this page can be asked."
TOO_BIG = "This request is larger than {} MB: upload the recording first, then give its path."

logger = logging.getLogger("ser.app")


class Health(TypedDict):
    """Answer of /healthz."""

    ready: bool  # to answer
    model: str
    version: str | None  # None until the model is loaded


class Doorkeeper:
    """State of the doors: who is inside, and whether the page is about to end.

    Args:
        line: the queue.
        health: tells how it is.
        journal: in which refused requests are noted.
        uploads: where there must be room for an upload.
    """

    def __init__(self, line: Line, health: Callable[[], Health], journal: Journal, uploads: Uploads) -> None:
        self.line = line
        self.health = health
        self.journal = journal
        self.uploads = uploads
        self.allowance = Allowance()
        self.turns = Turns()
        self.open: Counter[str] = Counter()  # requests by address
        self.busy = 0  # requests that end by themselves
        self.loop: asyncio.AbstractEventLoop | None = None  # of gradio's server, once it was asked something
        self.last_busy = -math.inf
        self.stopping = False

    def is_busy(self) -> bool:
        """True if something is being asked or answered."""
        return bool(self.busy or self.line.events())

    def is_done(self) -> bool:
        """True if nothing is asked or answered, nor was a moment ago: all answers that anybody wants were fetched."""
        if self.is_busy():
            self.last_busy = time.monotonic()
        return time.monotonic() - self.last_busy > GRACE_SECONDS

    def dismiss(self) -> None:
        """Tell all who wait for an answer that there will be none."""
        if self.loop:
            self.loop.call_soon_threadsafe(self.line.dismiss)

    def check(self, scope: Scope, address: str) -> None:
        """
        Look at a request before it comes in.

        Raises:
            RefusedError: it may not.
        """
        path = scope["path"]
        if path.lower().startswith(CLOSED):
            raise RefusedError(404, NO_DOOR, "closed")
        if self.open[address] >= limits.REQUESTS_OPEN:
            raise RefusedError(429, TOO_MANY, "open")
        asks = scope["method"] == "POST"
        if principal_of(scope):  # it has come in already
            return
        if asks and self.stopping:
            raise RefusedError(503, RESTARTING, "stopping")
        if asks or path in COSTLY:
            self.allowance.take(address)


class Doors:
    """ASGI middleware through which every request comes."""

    def __init__(self, app: ASGIApp, keeper: Doorkeeper) -> None:
        self.app = app
        self.keeper = keeper

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it with a sentence."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        own = self.own_answer(scope["path"])
        if own is not None:
            return await own(scope, receive, send)
        scope[ID], began, started = secrets.token_hex(8), time.monotonic(), False

        async def send_and_know(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message)["x-request-id"] = scope[ID]
            await send(message)

        try:
            await self.let_in(scope, receive, send_and_know)
        except Exception as error:
            refused = as_refused(error, scope["path"])
            if started or refused is None:
                raise
            self.keeper.journal.note(scope[ID], "door", "refused", time.monotonic() - began, refused.reason)
            await sentence_response(refused)(scope, receive, send_and_know)

    def own_answer(self, path: str) -> Response | None:
        """Answer of the doors themselves; None where they have none."""
        if path == "/healthz":
            health = self.keeper.health()
            return JSONResponse(health, 200 if health["ready"] else 503)
        if path == "/metrics" and limits.METRICS:
            return PlainTextResponse(self.keeper.journal.exposition(), media_type=CONTENT_TYPE)
        return None

    async def let_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on in its turn."""
        keeper, path, address = self.keeper, scope["path"], address_of(scope)
        keeper.loop = asyncio.get_running_loop()
        keeper.check(scope, address)
        if path.startswith(TOOLS):
            named = on_behalf_header(Principal(address, scope[ID]))
            scope = {**scope, "headers": [*scope["headers"], named]}
        if path != UPLOAD:
            receive = limited(scope, receive)
        ends = not path.startswith(STAYS_OPEN) or scope["method"] == "POST"
        keeper.open[address] += 1
        keeper.busy += ends
        try:
            if path == UPLOAD and scope["method"] == "POST":
                await self.take_in(scope, receive, send, address)
            else:
                async with self.turn(scope, address):
                    await self.app(scope, receive, send)
        finally:
            keeper.busy -= ends
            if ends:
                keeper.last_busy = time.monotonic()
            keeper.open[address] -= 1
            if not keeper.open[address]:
                del keeper.open[address]

    def turn(self, scope: Scope, address: str) -> contextlib.AbstractAsyncContextManager[None]:
        """Context of a request on its way in: its address's turn, a place in the queue, an awaited answer, or none."""
        if scope["path"].startswith(RUN):
            return self.keeper.turns.turn(address)
        if scope["path"].startswith(QUEUED) and scope["method"] == "POST":
            return self.keeper.line.place(address)
        if scope["path"].startswith(TOOLS):
            return self.keeper.line.awaiting(scope[ID])
        return contextlib.nullcontext()

    async def take_in(self, scope: Scope, receive: Receive, send: Send, address: str) -> None:
        """Pass an upload on, if there is room for it, and remember whose it is."""
        keeper, began, status, answer = self.keeper, time.monotonic(), 500, bytearray()
        outcome: Outcome = "failed"

        async def send_and_read(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            answer.extend(message.get("body", b""))
            await send(message)

        size = content_length(scope)
        await asyncio.to_thread(keeper.uploads.reserve, size, address)
        try:
            await self.app(scope, receive, send_and_read)
            if status == 200:
                keeper.uploads.hold(json.loads(answer), address)
            outcome = "answered" if status == 200 else "refused" if status < 500 else "failed"
        except ClientDisconnect:  # in the middle of the upload: nobody is there to be told
            outcome = "left"
        finally:
            keeper.uploads.release(size, address)
            keeper.journal.note(scope[ID], "upload", outcome, time.monotonic() - began)


def content_length(scope: Scope) -> int | None:
    """The bytes of a request's body, as far as it tells."""
    declared = Headers(scope=scope).get("content-length", "")
    return int(declared) if declared.isdecimal() else None


def limited(scope: Scope, receive: Receive) -> Receive:
    """`receive` for a body of at most `BODY_MEGABYTES`; `RefusedError` beyond."""
    most = limits.BODY_MEGABYTES << 20
    refused = RefusedError(413, TOO_BIG.format(limits.BODY_MEGABYTES), "size")
    if (content_length(scope) or 0) > most:
        raise refused
    taken = 0

    async def receive_so_much() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > most:
            raise refused
        return message

    return receive_so_much


def as_refused(error: Exception, path: str) -> RefusedError | None:
    """Refusal that a stranger is told for an error of the stranger's own; None for one of the server."""
    if isinstance(error, RefusedError):
        return error
    # Of these routes gradio raises what it finds wrong with a request, all else is an answer of theirs.
    if path.startswith((*RUN, *QUEUED)) and isinstance(
        error, FnIndexInferError | LookupError | TypeError | ValueError
    ):
        logger.info("Refused at %s: %r", path, error)
        return RefusedError(404, NO_DOOR, "arguments")
    return None


def sentence_response(refused: RefusedError) -> JSONResponse:
    """The sentence under both names by which gradio's clients look for it."""
    content: dict[str, Any] = {"error": str(refused), "detail": str(refused)}
    headers = {"retry-after": "5"} if refused.status in (429, 503) else None
    return JSONResponse(content, refused.status, headers)
