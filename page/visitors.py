"""Who asks, by address, and how much each address may ask."""

import asyncio
import contextlib
import ipaddress
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.types import Scope

from page import limits
from page.refused import RefusedError


NETWORK_BITS = 64  # of an IPv6 address: whoever has one has all of this network
MAX_ADDRESSES = 10000  # that are remembered
# An MCP tool asks the page anew, from this machine; the header tells for whom, and proves that the page says so.
ON_BEHALF = "x-ser-on-behalf"
PROOF = secrets.token_hex(16)

TOO_MANY = "Too many requests come from your address. Please wait a few seconds."


def address_of(scope: Scope) -> str:
    """The address that a request came from, as text; of IPv6 the network.

    Behind `PROXIES` it is the one that the outermost of them heard from: what stands before that in the header, the
    client wrote itself.
    """
    if principal := principal_of(scope):
        return principal.address
    host = scope["client"][0] if scope.get("client") else ""
    if limits.PROXIES:
        heard = [part.strip() for part in Headers(scope=scope).get("x-forwarded-for", "").split(",")]
        host = heard[-limits.PROXIES] if len(heard) >= limits.PROXIES else host
    try:
        parsed = ipaddress.ip_address(host)
    except ValueError:
        return host
    if parsed.version == 4:
        return str(parsed)
    return str(parsed.ipv4_mapped or ipaddress.IPv6Network((int(parsed), NETWORK_BITS), strict=False))


class Principal(NamedTuple):
    """For whom the page asks itself."""

    address: str
    request: str  # the name in the journal of the request that came by MCP


def principal_of(scope: Scope) -> Principal | None:
    """For whom the page asks itself in this request; None for every other request."""
    proof, _, rest = Headers(scope=scope).get(ON_BEHALF, "").partition(" ")
    request, _, address = rest.partition(" ")
    return Principal(address, request) if secrets.compare_digest(proof.encode(), PROOF.encode()) else None


def on_behalf_header(principal: Principal) -> tuple[bytes, bytes]:
    """The header of a request that the page sends itself."""
    return ON_BEHALF.encode(), f"{PROOF} {principal.request} {principal.address}".encode()


class Allowance:
    """How much an address may still ask, refilled as time passes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.spent: dict[str, tuple[float, float]] = {}  # address > requests, at that time; the latest last

    def take(self, address: str) -> None:
        """
        Let an address ask once more.

        Raises:
            RefusedError: it has asked too much.
        """
        now = self.clock()
        spent, since = self.spent.pop(address, (0.0, now))
        spent = max(0.0, spent - (now - since) * limits.REQUESTS_PER_SECOND)
        allowed = spent + 1 <= limits.REQUESTS_IN_A_ROW
        self.spent[address] = (spent + allowed, now)
        if len(self.spent) > MAX_ADDRESSES:
            del self.spent[next(iter(self.spent))]
        if not allowed:
            raise RefusedError(429, TOO_MANY, "rate")


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
