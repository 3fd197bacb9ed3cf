"""The network between nodes where the kernel cannot delay: every packet comes here from one TUN device and leaves by another.

`relay.py PID...`: one namespace each, of node 1, 2, ...; makes `mesh0` in it, says "ready", and then takes lines of JSON on
standard input: {"delay": seconds, "jitter": seconds, "loss": share, "cuts": [[from, to], ...]}. Packets of one pair keep
their order, as in a queue. Ends with its input.
"""
import ctypes
import fcntl
import heapq
import json
import os
import random
import selectors
import struct
import sys
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454ca
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
QUEUED_MAX = 20_000  # packets under way; beyond them a queue in a network drops, too


def device(pid):
    """`mesh0` in the namespace of a process."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/proc/{pid}/ns/net") as there:
        if libc.setns(there.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", b"mesh0", IFF_TUN | IFF_NO_PI))
    return fd


def main():
    devices = {number: device(pid) for number, pid in enumerate(sys.argv[1:], 1)}
    print("ready", flush=True)
    selector = selectors.DefaultSelector()
    for number, fd in devices.items():
        selector.register(fd, selectors.EVENT_READ, number)
    os.set_blocking(0, False)
    selector.register(0, selectors.EVENT_READ, 0)
    delay = jitter = loss = 0.0
    cuts = set()
    queue = []  # (due, serial, device, packet)
    last = {}   # (from, to): when its newest packet leaves
    serial = 0
    text = b""
    while True:
        wait = max(0.0, queue[0][0] - time.monotonic()) if queue else None
        for key, _ in selector.select(wait):
            if key.data == 0:
                more = os.read(0, 65536)
                if not more:
                    return
                *lines, text = (text + more).split(b"\n")
                for line in lines:
                    said = json.loads(line)
                    delay, jitter, loss = said["delay"], said["jitter"], said["loss"]
                    cuts = {tuple(pair) for pair in said["cuts"]}
                continue
            now = time.monotonic()
            for _ in range(64):
                try:
                    packet = os.read(key.fd, 65536)
                except BlockingIOError:
                    break
                if len(packet) < 20 or packet[0] >> 4 != 4:
                    continue
                pair = key.data, packet[19]
                to = devices.get(packet[19])
                if to is None or pair in cuts or len(queue) >= QUEUED_MAX or (loss and random.random() < loss):
                    continue
                due = max(now + delay + (random.random() * jitter if jitter else 0.0), last.get(pair, 0.0))
                last[pair] = due
                serial += 1
                heapq.heappush(queue, (due, serial, to, packet))
        now = time.monotonic()
        while queue and queue[0][0] <= now:
            _, _, to, packet = heapq.heappop(queue)
            try:
                os.write(to, packet)
            except OSError:
                pass  # its device is down, or full: lost


if __name__ == "__main__":
    main()
