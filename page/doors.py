"""The doors of the page: what may come in, from whom, and how much at once; what may not gets a sentence."""

import asyncio
import contextlib
import ipaddress
import json
import logging
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any, TypedDict

import gradio as gr
from gradio.route_utils import FnIndexInferError
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from page import limits
from page.journal import CONTENT_TYPE, Journal
from page.refused import RefusedError
from page.uploads import Uploads
from page.work import ID, RESTARTING


API = "/gradio_api/"
# What gradio brings along and the page does not need: work outside of the queue, or what is at others' addresses.
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
STAYS_OPEN = f"{API}heartbeat/"
NETWORK_BITS = 64  # of an IPv6 address: whoever has one has all of this network
# An MCP tool asks the page anew, from this machine; the header tells for whom, and proves that the page says so.
ON_BEHALF = "x-ser-on-behalf"
PROOF = secrets.token_hex(16)

NO_DOOR = "There is nothing at this address: /?view=api tells what this page can be asked."
TOO_BIG = "This request is larger than {} MB: upload the recording first, then give its path."
TOO_MANY = "Too many requests come from your address. Please wait a few seconds."
IN_LINE = "{} of your requests are in the queue already. Please ask again when one is answered."

logger = logging.getLogger("ser.app")


def address_of(scope: Scope) -> str:
    """The address that a request came from, as text; of IPv6 the network.

    Behind `PROXIES` it is the one that the outermost of them heard from: what stands before that in the header, the
    client wrote itself.
    """
    if principal := on_behalf_of(scope):
        return principal
    host = scope["client"][0] if scope.get("client") else ""
    if limits.PROXIES:
        heard = [part.strip() for part in Headers(scope=scope).get("x-forwarded-for", "").split(",")]
        host = heard[-limits.PROXIES] if len(heard) >= limits.PROXIES else host
    try:
        parsed = ipaddress.ip_address(host)
    except ValueError:
        return host
    if parsed.version == 6 and not parsed.ipv4_mapped:
        return str(ipaddress.ip_network((host, NETWORK_BITS), strict=False))
    return str(parsed)


def on_behalf_of(scope: Scope) -> str:
    """The address for which the page asks itself; "" for every other request."""
    proof, _, address = Headers(scope=scope).get(ON_BEHALF, "").partition(" ")
    return address if secrets.compare_digest(proof.encode(), PROOF.encode()) else ""


class Health(TypedDict):
    """What /healthz tells."""

    ready: bool  # to answer
    model: str
    version: str | None  # None until the model is loaded


class Allowance:
    """How much an address may still ask, refilled as time passes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.spent: dict[str, tuple[float, float]] = {}  # address > requests, at that time

    def take(self, address: str) -> bool:
        """Whether the address may ask once more now."""
        now = self.clock()
        spent = self._spent(address, now)
        if len(self.spent) >= limits.WAITING * limits.SESSIONS:  # those who have paid back all need no entry
            self.spent = {known: entry for known, entry in self.spent.items() if self._spent(known, now) > 0}
        if spent + 1 > limits.REQUESTS_IN_A_ROW:
            return False
        self.spent[address] = (spent + 1, now)
        return True

    def _spent(self, address: str, now: float) -> float:
        spent, since = self.spent.get(address, (0.0, now))
        return max(0.0, spent - (now - since) * limits.REQUESTS_PER_SECOND)


class Turns:
    """Lets `RUNS_OF_ADDRESS` requests of an address in at once, the next ones after them."""

    def __init__(self) -> None:
        self.semaphores: dict[str, asyncio.Semaphore] = {}
        self.present: Counter[str] = Counter()

    @contextlib.asynccontextmanager
    async def turn(self, address: str) -> AsyncIterator[None]:
        """The turn of a request, for a `with` block; `RefusedError` if too many of its address wait."""
        if self.present[address] >= limits.RUNS_OF_ADDRESS + limits.RUNS_WAITING_OF_ADDRESS:
            raise RefusedError(429, TOO_MANY, "rate")
        semaphore = self.semaphores.setdefault(address, asyncio.Semaphore(limits.RUNS_OF_ADDRESS))
        self.present[address] += 1
        try:
            async with semaphore:
                yield
        finally:
            self.present[address] -= 1
            if not self.present[address]:
                del self.present[address], self.semaphores[address]


class Doorkeeper:
    """What the doors know: who is inside, and whether the page is about to end.

    Args:
        blocks: the page.
        health: tells how it is.
        journal: in which refused requests are noted.
        uploads: where there must be room for an upload.
    """

    def __init__(self, blocks: gr.Blocks, health: Callable[[], Health], journal: Journal, uploads: Uploads) -> None:
        self.blocks = blocks
        self.health = health
        self.journal = journal
        self.uploads = uploads
        self.allowance = Allowance()
        self.turns = Turns()
        self.open: Counter[str] = Counter()  # requests by address
        self.busy = 0  # requests that end by themselves
        self.stopping = False

    def idle(self) -> bool:
        """Whether nothing is being asked or answered, and no answer waits to be fetched."""
        queue = self.blocks._queue
        return not (self.busy or queue.event_ids_to_events or any(queue.pending_event_ids_session.values()))

    def in_queue(self, address: str) -> int:
        """Requests of an address that wait or are being answered."""
        events = list(self.blocks._queue.event_ids_to_events.values())
        return sum(address_of(event.request.scope) == address for event in events)

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
        if scope["method"] != "POST":
            return
        if not on_behalf_of(scope):  # else it has come in already
            if self.stopping:
                raise RefusedError(503, RESTARTING, "stopping")
            if not self.allowance.take(address):
                raise RefusedError(429, TOO_MANY, "rate")
        if path.startswith(QUEUED) and self.in_queue(address) >= limits.WAITING_OF_ADDRESS:
            raise RefusedError(429, IN_LINE.format(limits.WAITING_OF_ADDRESS), "queue")


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
        """What the doors answer themselves."""
        if path == "/healthz":
            health = self.keeper.health()
            return JSONResponse(health, 200 if health["ready"] else 503)
        if path == "/metrics" and limits.METRICS:
            return PlainTextResponse(self.keeper.journal.exposition(), media_type=CONTENT_TYPE)
        return None

    async def let_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on in its turn."""
        keeper, path, address = self.keeper, scope["path"], address_of(scope)
        keeper.check(scope, address)
        if path.startswith(TOOLS):
            scope = {**scope, "headers": [*scope["headers"], (ON_BEHALF.encode(), f"{PROOF} {address}".encode())]}
        if path != UPLOAD:
            receive = limited(scope, receive)
        ends = not path.startswith(STAYS_OPEN)
        keeper.open[address] += 1
        keeper.busy += ends
        try:
            if path.startswith(RUN):
                async with keeper.turns.turn(address):
                    await self.app(scope, receive, send)
            elif path == UPLOAD and scope["method"] == "POST":
                await self.take_in(scope, receive, send, address)
            else:
                await self.app(scope, receive, send)
        finally:
            keeper.busy -= ends
            keeper.open[address] -= 1
            if not keeper.open[address]:
                del keeper.open[address]

    async def take_in(self, scope: Scope, receive: Receive, send: Send, address: str) -> None:
        """Pass an upload on, if there is room for it, and remember whose it is."""
        keeper, began, status, answer = self.keeper, time.monotonic(), 500, bytearray()

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
        finally:
            keeper.uploads.release(size, address)
            outcome = "answered" if status == 200 else "refused" if status < 500 else "failed"
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
    """What a stranger is told of an error that is the stranger's own; None for one of the server."""
    if isinstance(error, RefusedError):
        return error
    # Of these routes gradio raises what it finds wrong with a request, all else is an answer of theirs.
    if path.startswith((*RUN, *QUEUED)) and isinstance(
        error, FnIndexInferError | LookupError | TypeError | ValueError
    ):
        logger.info("RefusedError at %s: %r", path, error)
        return RefusedError(404, NO_DOOR, "arguments")
    return None


def sentence_response(refused: RefusedError) -> JSONResponse:
    """The sentence under both names by which gradio's clients look for it."""
    content: dict[str, Any] = {"error": str(refused), "detail": str(refused)}
    headers = {"retry-after": "5"} if refused.status in (429, 503) else None
    return JSONResponse(content, refused.status, headers)
