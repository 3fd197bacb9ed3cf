"""A name server on loopback: A and SRV records that a test changes while nodes ask. Everything else does not exist."""
import socket
import struct
import threading

A, SRV = 1, 33


def wire_name(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"


class NameServer:
    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.hosts = {}     # name: [IPv4 address]
        self.services = {}  # name: [(priority, weight, port, target)]
        self.asked = {}     # (name, type): how often
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def close(self):
        self.socket.sendto(b"", ("127.0.0.1", self.port))
        self.thread.join(5)
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _serve(self):
        while True:
            question, sender = self.socket.recvfrom(2048)
            if not question:
                return
            try:
                self.socket.sendto(self._answer(question), sender)
            except (IndexError, UnicodeDecodeError, struct.error, OSError):
                pass

    def _answer(self, question):
        parts, at = [], 12
        while question[at]:
            parts.append(question[at + 1:at + 1 + question[at]].decode())
            at += 1 + question[at]
        name = ".".join(parts)
        kind, _ = struct.unpack_from(">HH", question, at + 1)
        self.asked[name, kind] = self.asked.get((name, kind), 0) + 1
        records = []
        if kind == A:
            records = [socket.inet_aton(ip) for ip in self.hosts.get(name, [])]
        elif kind == SRV:
            records = [struct.pack(">HHH", *one[:3]) + wire_name(one[3]) for one in self.services.get(name, [])]
        known = self.hosts.get(name) or self.services.get(name)
        head = question[:2] + struct.pack(">HHHHH", 0x8180 if known else 0x8183, 1, len(records), 0, 0)
        return head + question[12:at + 5] + b"".join(struct.pack(">HHHIH", 0xc00c, kind, 1, 0, len(r)) + r for r in records)
