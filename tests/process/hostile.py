"""Bytes that no sound peer or client would send. Each attack is bounded in time and size."""
import random
import socket
import struct
import time


def _connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=2)


def _throw(port, data, read=True):
    try:
        with _connect(port) as end:
            end.settimeout(0.3)
            end.sendall(data)
            while read and end.recv(1 << 16):
                pass
    except OSError:
        pass  # closed on us, or kept waiting: both are fair answers


def _drip(port, data, pause):
    try:
        with _connect(port) as end:
            for byte in data:
                end.sendall(bytes([byte]))
                time.sleep(pause)
    except OSError:
        pass


def _never_read(port, data, total):
    """Sends commands with large answers and takes none of them."""
    try:
        with _connect(port) as end:
            end.settimeout(0.3)
            sent = 0
            while sent < total:
                sent += end.send(data)
    except OSError:
        pass


def _many(port, count):
    ends = []
    try:
        for _ in range(count):
            ends.append(_connect(port))
    except OSError:
        pass
    finally:
        time.sleep(0.2)
        for end in ends:
            end.close()


def attacks(node_port, redis_port):
    """(name, function) for each attack on a node's two ports."""
    chance = random.Random(7)
    noise = chance.randbytes(100_000)
    header = struct.Struct("<IIBBHI")
    yield "noise on the node port", lambda: [_throw(node_port, noise[i * 997:]) for i in range(10)]
    yield "a frame of 4 GiB announced", lambda: _throw(node_port, header.pack(0xffffffff, 0, 1, 0, 0, 0) + noise)
    yield "a frame of no length", lambda: _throw(node_port, header.pack(0, 0, 0, 0, 0, 0) * 50)
    yield "frames of each type, wrong sums", lambda: [
        _throw(node_port, header.pack(64, 12345, kind, 0, 1, 0) + bytes(64), read=False) for kind in range(0, 256, 5)]
    yield "half a header, then nothing", lambda: _throw(node_port, header.pack(64, 1, 1, 0, 0, 0)[:9])
    yield "a frame byte by byte", lambda: _drip(node_port, header.pack(64, 1, 1, 0, 0, 0) + bytes(40), 0.005)
    yield "200 silent peers", lambda: _many(node_port, 200)
    yield "an HTTP client on the node port", lambda: _throw(node_port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    yield "noise on the Redis port", lambda: [_throw(redis_port, noise[i * 997:]) for i in range(10)]
    yield "a bulk of 2 GiB announced", lambda: _throw(redis_port, b"*2\r\n$3\r\nGET\r\n$2147483647\r\n" + noise)
    yield "a million arguments announced", lambda: _throw(redis_port, b"*1000000\r\n" + b"$1\r\na\r\n" * 1000)
    yield "negative lengths", lambda: _throw(redis_port, b"*-5\r\n*3\r\n$-7\r\n")
    yield "no end of line", lambda: _throw(redis_port, b"P" * 200_000)
    yield "a command byte by byte", lambda: _drip(redis_port, b"*1\r\n$4\r\nPING\r\n" * 3, 0.005)
    yield "gone in mid-command", lambda: [_throw(redis_port, b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$10", read=False)
                                          for _ in range(50)]
    yield "gone before the answer", lambda: [_throw(redis_port, b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$1\r\ny\r\n", read=False)
                                             for _ in range(200)]
    big = b"*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$500000\r\n" + bytes(500_000) + b"\r\n"
    yield "a client that never reads", lambda: (_throw(redis_port, big), _never_read(
        redis_port, b"*2\r\n$3\r\nGET\r\n$3\r\nbig\r\n" * 100, 1 << 20))
    yield "500 idle clients", lambda: _many(redis_port, 500)
