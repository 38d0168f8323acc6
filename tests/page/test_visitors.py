"""Who asks: addresses, and how much each may ask."""

import asyncio

import pytest

from page import limits, visitors
from page.refused import RefusedError
from page.visitors import ON_BEHALF, PROOF, Allowance, Turns, address_of


def scope(host: str, **headers: str) -> dict:
    named = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    return {"type": "http", "client": (host, 1), "headers": named}


def test_address_is_that_of_the_connection():
    assert address_of(scope("203.0.113.7", x_forwarded_for="1.2.3.4")) == "203.0.113.7"
    assert address_of({"type": "http", "client": None, "headers": []}) == ""


def test_address_behind_proxies_is_what_the_outermost_heard(monkeypatch):
    monkeypatch.setattr(limits, "PROXIES", 1)
    assert address_of(scope("10.0.0.1", x_forwarded_for="6.6.6.6, 203.0.113.7")) == "203.0.113.7"
    monkeypatch.setattr(limits, "PROXIES", 2)
    assert address_of(scope("10.0.0.1", x_forwarded_for="6.6.6.6, 203.0.113.7, 10.0.0.2")) == "203.0.113.7"
    assert address_of(scope("10.0.0.1")) == "10.0.0.1"


def test_an_ipv6_visitor_is_a_network():
    assert address_of(scope("2001:db8::1")) == address_of(scope("2001:db8::ffff:1")) == "2001:db8::/64"
    assert address_of(scope("2001:db8:0:1::1")) != address_of(scope("2001:db8::1"))
    assert address_of(scope("::ffff:203.0.113.7")) == "203.0.113.7"


def test_only_the_page_asks_on_behalf_of_others():
    name = ON_BEHALF.replace("-", "_")
    assert address_of(scope("127.0.0.1", **{name: f"{PROOF} 1234 203.0.113.7"})) == "203.0.113.7"
    for forged in ("203.0.113.7", " 1234 203.0.113.7", "é 1234 203.0.113.7"):
        assert address_of(scope("127.0.0.1", **{name: forged})) == "127.0.0.1"


def test_allowance_is_spent_and_comes_back():
    now = [0.0]
    allowance = Allowance(clock=lambda: now[0])
    for _ in range(limits.REQUESTS_IN_A_ROW):
        allowance.take("a")
    with pytest.raises(RefusedError, match="Too many requests"):
        allowance.take("a")
    allowance.take("b")
    now[0] = 1.5 / limits.REQUESTS_PER_SECOND
    allowance.take("a")
    with pytest.raises(RefusedError):
        allowance.take("a")


def test_few_addresses_are_remembered(monkeypatch):
    monkeypatch.setattr(visitors, "MAX_ADDRESSES", 2)
    allowance = Allowance()
    for address in "abac":
        allowance.take(address)
    assert set(allowance.spent) == {"a", "c"}


def test_turns_of_an_address_do_not_make_others_wait(monkeypatch):
    monkeypatch.setattr(limits, "RUNS_OF_ADDRESS", 1)
    monkeypatch.setattr(limits, "RUNS_WAITING_OF_ADDRESS", 1)
    seen = []

    async def visit(turns: Turns, address: str, end: asyncio.Event) -> None:
        async with turns.turn(address):
            seen.append(address)
            await end.wait()

    async def crowd() -> None:
        turns, end = Turns(), asyncio.Event()
        tasks = [asyncio.create_task(visit(turns, address, end)) for address in ("a", "a", "b")]
        await asyncio.sleep(0.01)
        assert seen == ["a", "b"]
        with pytest.raises(RefusedError, match="Too many requests"):
            await visit(turns, "a", end)
        end.set()
        await asyncio.gather(*tasks)
        assert seen == ["a", "b", "a"]
        assert not turns.present
        assert not turns.semaphores

    asyncio.run(crowd())
