"""Who comes through the doors of the page: addresses."""

import ipaddress

from starlette.datastructures import Headers
from starlette.types import Scope

from page import limits


NETWORK_BITS = 64  # of an IPv6 address: whoever has one has all of this network


def address_of(scope: Scope) -> str:
    """The address that a request came from, as text; of IPv6 the network.

    Behind `PROXIES` it is the one that the outermost of them heard from: what stands before that in the header, the
    client wrote itself.
    """
    host = scope["client"][0] if scope.get("client") else ""
    if limits.PROXIES:
        heard = [part.strip() for part in Headers(scope=scope).get("x-forwarded-for", "").split(",")]
        host = heard[-limits.PROXIES] if len(heard) >= limits.PROXIES else host
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.version == 6 and not address.ipv4_mapped:
        return str(ipaddress.ip_network((host, NETWORK_BITS), strict=False))
    return str(address)
