"""A PXE client as a DHCP server sees it. Asks for an address on one interface and prints what it was told as JSON.

pxe-client.py IFACE dhcp '{"mac": ..., "arch": 7, "vendor": "PXEClient:...", "ipxe": false}'
pxe-client.py IFACE router
"""

import json
import os
import socket
import struct
import sys
import time

PATIENCE = 4.0  # seconds, for each answer
SO_BINDTODEVICE = 25
MAGIC = b"\x63\x82\x53\x63"  # RFC 2131, section 3


def option(code, value):
    return bytes([code, len(value)]) + value


def message(kind, xid, asker, extra=b""):
    """A DHCP message (RFC 2131, section 2) with the PXE options of RFC 4578 and, for iPXE, its own 77 and 175."""
    mac = bytes.fromhex(asker["mac"].replace(":", ""))
    head = struct.pack("!BBBBIHHIIII", 1, 1, 6, 0, xid, 0, 0x8000, 0, 0, 0, 0)
    options = option(53, bytes([kind])) + option(57, struct.pack("!H", 1472)) + extra
    options += option(55, bytes([1, 3, 6, 12, 43, 54, 60, 66, 67]))
    options += option(93, struct.pack("!H", asker["arch"])) + option(94, b"\x01\x02\x01")
    options += option(97, b"\x00" + mac.rjust(16, b"\x00")) + option(60, asker["vendor"].encode())
    if asker.get("ipxe"):
        options += option(77, b"iPXE") + option(175, b"\xb1\x05\x01\x80\x86\x10\x0e\xeb\x03\x01\x00\x00")
    return head + mac.ljust(16, b"\x00") + bytes(192) + MAGIC + options + b"\xff"


def read(data):
    options, at = {}, 240
    while at < len(data) and data[at] != 255:
        if data[at] == 0:
            at += 1
            continue
        options[data[at]] = data[at + 2 : at + 2 + data[at + 1]]
        at += 2 + data[at + 1]
    text = lambda raw: raw.split(b"\0")[0].decode()
    return {
        "xid": struct.unpack("!I", data[4:8])[0],
        "kind": options[53][0],
        "address": socket.inet_ntoa(data[16:20]),
        "nextServer": socket.inet_ntoa(data[20:24]),
        "file": text(data[108:236]) or text(options.get(67, b"")),
        "vendor": text(options.get(60, b"")),
        "router": 3 in options,
        "server": options[54],
    }


def dhcp(iface, asker):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, iface.encode() + b"\0")
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    s.bind(("", 68))

    def ask(kind, extra=b""):
        xid = struct.unpack("!I", os.urandom(4))[0]
        s.sendto(message(kind, xid, asker, extra), ("255.255.255.255", 67))
        end = time.monotonic() + PATIENCE
        while (left := end - time.monotonic()) > 0:
            s.settimeout(left)
            try:
                answer = read(s.recv(2048))
            except TimeoutError:
                return None
            if answer["xid"] == xid:
                return answer
        return None

    offer = ask(1)
    if offer is None:
        return None
    ack = ask(3, option(50, socket.inet_aton(offer["address"])) + option(54, offer["server"]))
    if ack is None or ack["kind"] != 5:
        return None
    return {name: ack[name] for name in ("address", "nextServer", "file", "vendor", "router")}


def router(iface):
    """The prefix of the first router advertisement (RFC 4861, section 4.2) that answers our solicitation."""
    s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    s.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, iface.encode() + b"\0")
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    index = socket.if_nametoindex(iface)
    end = time.monotonic() + PATIENCE
    # Until duplicate address detection is over the interface has no address to ask from.
    while (left := end - time.monotonic()) > 0:
        try:
            s.sendto(struct.pack("!BBHI", 133, 0, 0, 0), ("ff02::2", 0, 0, index))
            s.settimeout(min(left, 0.5))
            data = s.recv(2048)
        except (TimeoutError, OSError):
            continue
        if data[0] != 134:
            continue
        at = 16
        while at + 8 <= len(data):
            if data[at] == 3:
                return {"prefix": socket.inet_ntop(socket.AF_INET6, data[at + 16 : at + 32])}
            at += 8 * data[at + 1]
    return None


if sys.argv[2] == "router":
    print(json.dumps(router(sys.argv[1])))
else:
    print(json.dumps(dhcp(sys.argv[1], json.loads(sys.argv[3]))))
