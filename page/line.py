"""The queue of gradio, shared among the addresses that ask."""

import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator

import gradio as gr
from gradio.queueing import Event
from gradio.server_messages import ProcessCompletedMessage

from page import limits
from page.journal import Journal
from page.refused import RefusedError
from page.visitors import address_of, principal_of
from page.work import RESTARTING, request_id


GAVE_WAY = "The queue was full, and your address had most requests in it. Please ask again in a minute."
IN_LINE = "{} of your requests are in the queue already. Please ask again when one is answered."


class Line:
    """Lets the addresses in the queue come by turns, and none of them fill it."""

    def __init__(self, blocks: gr.Blocks, journal: Journal) -> None:
        self.blocks = blocks
        self.journal = journal
        self.tools: set[str] = set()  # requests by MCP whose answer is awaited, by their names in the journal
        self.joining: Counter[str] = Counter()  # requests of an address that gradio is about to put into the queue

    def events(self) -> list[Event]:
        """All requests that wait or are being answered."""
        return list(self.blocks._queue.event_ids_to_events.values())

    def is_wanted(self, request: gr.Request) -> bool:
        """True if the visitor who asked is still there; what does not come by the queue is always wanted."""
        event = next((event for event in self.events() if event.request is request.request), None)
        principal = principal_of(request.request.scope)
        return (event is None or event.alive) and (principal is None or principal.request in self.tools)

    @contextlib.asynccontextmanager
    async def awaiting(self, tool_request: str) -> AsyncIterator[None]:
        """The time, as a `with` block, in which whoever asked by MCP waits for the answer."""
        self.tools.add(tool_request)
        try:
            yield
        finally:
            self.tools.discard(tool_request)

    @contextlib.asynccontextmanager
    async def place(self, address: str) -> AsyncIterator[None]:
        """A place in the queue for a request that gradio puts there in a `with` block.

        Raises:
            RefusedError: the address has enough there.
        """
        present = sum(address_of_event(event) == address for event in self.events())
        if present + self.joining[address] >= limits.WAITING_OF_ADDRESS:
            raise RefusedError(429, IN_LINE.format(limits.WAITING_OF_ADDRESS), "queue")
        self.joining[address] += 1
        try:
            await self._make_room(address)
            yield
        finally:
            self.joining[address] -= 1
            if not self.joining[address]:
                del self.joining[address]
            self._take_turns()

    def dismiss(self) -> None:
        """Tell all who wait for an answer that there will be none; for the thread of gradio's server."""
        for event in self.events():
            self._tell(event, RESTARTING)
            event.alive = False

    def _tell(self, event: Event, sentence: str) -> None:
        """Give a sentence instead of an answer."""
        message = ProcessCompletedMessage(output={"error": sentence}, success=False)
        self.blocks._queue.send_message(event, message)

    async def _make_room(self, address: str) -> None:
        """Where the queue is full, the address with most requests in it gives the last one's place to another."""
        queue = self.blocks._queue
        waiting = [event for line in queue.event_queue_per_concurrency_id.values() for event in line.queue]
        places = Counter(map(address_of_event, waiting))
        holder, most = max(places.items(), key=lambda item: item[1], default=("", 0))
        if len(waiting) < limits.WAITING or most <= places[address] + 1:  # a swap would help nobody
            return
        last = max((event for event in waiting if address_of_event(event) == holder), key=arrival)
        await queue.remove_from_queue(last._id)
        self._tell(last, GAVE_WAY)
        self.journal.note(request_id(last.request.scope), "door", "refused", time.monotonic() - arrival(last), "queue")

    def _take_turns(self) -> None:
        """Sort the queue: nobody waits for all that another address has asked before."""
        queue = self.blocks._queue
        for name, line in queue.event_queue_per_concurrency_id.items():
            busy = [event for job in queue.active_jobs for event in job or () if event.concurrency_id == name]
            turns = Counter(map(address_of_event, busy))
            order = {}
            for event in sorted(line.queue, key=arrival):
                address = address_of_event(event)
                order[event._id] = (turns[address], arrival(event))
                turns[address] += 1
            line.queue.sort(key=lambda event: order[event._id])


def address_of_event(event: Event) -> str:
    """Where a request in the queue came from."""
    return address_of(event.request.scope)


def arrival(event: Event) -> float:
    """When a request was put into the queue, on the clock of `time.monotonic`."""
    return event.enqueue_time
