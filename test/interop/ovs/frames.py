"""Sends raw Ethernet frames on some network devices and tells on which of the others they arrive, and with which VLAN tags.

usage: frames.py CONTROL-FROM CONTROL-TO DEVICE...
Each line of the input is one probe, {"from": device, "tags": [outer, ...]}; each line of the output says where it was heard:
{device: [[tags of a frame], ...]}. A frame that does not arrive is proven by one that does: after each probe a control
frame goes from CONTROL-FROM to CONTROL-TO, through the same switch, and what was not heard before it does not come.
"""
import json
import select
import socket
import struct
import sys
import time

SOL_PACKET, PACKET_AUXDATA, TP_STATUS_VLAN_VALID, PACKET_OUTGOING = 263, 8, 0x10, 4
ETH_P_ALL, ETH_P_8021Q, ETH_P_LOCAL = 3, 0x8100, 0x88B5  # the last one is for experiments (IEEE 802, clause 9.2.4)
PATIENCE, AFTERWARDS = 10, 0.03


def opened(device):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    sock.bind((device, 0))
    # The kernel takes the outer tag out of the frame and tells it here.
    sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    sock.setblocking(False)
    return sock


control_from, control_to, *devices = sys.argv[1:]
sockets = {device: opened(device) for device in (control_from, control_to, *devices)}


def send(device, tags, mark):
    source = bytes([2, 0, 0, 0, 0, list(sockets).index(device)])
    header = b"\xff" * 6 + source + b"".join(struct.pack("!HH", ETH_P_8021Q, tag) for tag in tags)
    sockets[device].send((header + struct.pack("!H", ETH_P_LOCAL) + mark).ljust(64, b"\0"))


def receive(sock):
    """The tags and the payload of a frame; None for one that this end sent, or that is nobody's probe."""
    data, ancillary, _, address = sock.recvmsg(2048, 256)
    if address[2] == PACKET_OUTGOING:
        return None
    tags = []
    for level, kind, raw in ancillary:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, _, _, _, _, tci, _ = struct.unpack("IIIHHHH", raw[:20])
            if status & TP_STATUS_VLAN_VALID:
                tags.append(tci & 0xFFF)
    at = 12
    while struct.unpack("!H", data[at : at + 2])[0] == ETH_P_8021Q:
        tags.append(struct.unpack("!H", data[at + 2 : at + 4])[0] & 0xFFF)
        at += 4
    if struct.unpack("!H", data[at : at + 2])[0] != ETH_P_LOCAL:
        return None
    return tags, data[at + 2 :].rstrip(b"\0")


def hear(mark, control, heard):
    """Collects the probe's frames until the control frame was heard, and a moment longer."""
    ends, controlled = time.monotonic() + PATIENCE, False
    while True:
        ready, _, _ = select.select(list(sockets.values()), [], [], AFTERWARDS)
        for device, sock in sockets.items():
            frame = receive(sock) if sock in ready else None
            if frame is None:
                continue
            tags, payload = frame
            if payload == control and device == control_to:
                controlled = True
            if payload == mark:
                heard.setdefault(device, []).append(tags)
        if not ready and controlled:
            return
        if time.monotonic() > ends:
            raise SystemExit("the control frame was not heard")


for number, line in enumerate(sys.stdin):
    probe = json.loads(line)
    heard = {}
    mark = b"probe %d" % number
    send(probe["from"], probe["tags"], mark)
    control = b"control %d" % number
    send(control_from, [], control)
    hear(mark, control, heard)
    print(json.dumps(heard), flush=True)
