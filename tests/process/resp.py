"""A minimal client of the Redis protocol (RESP2), with deadlines on everything."""
import socket


class ServerError(Exception):
    """The server answered `-CODE text`. `code` is the first word."""

    def __init__(self, text):
        super().__init__(text)
        self.code = text.split(" ", 1)[0]


class Disconnected(Exception):
    """No answer came: reset, closed or out of time. A command already sent may have been carried out."""


def encode(*arguments):
    parts = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        data = argument if isinstance(argument, bytes) else str(argument).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)


class Client:
    def __init__(self, port, host="127.0.0.1", timeout=5.0):
        self.buffer = b""
        self.at = 0
        try:
            self.socket = socket.create_connection((host, port), timeout=timeout)
        except OSError as problem:
            raise Disconnected(f"{host}:{port}: {problem}") from None
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError as problem:
            raise Disconnected(str(problem)) from None

    def call(self, *arguments):
        """The reply; raises ServerError or Disconnected."""
        self.send(encode(*arguments))
        reply = self.reply()
        if isinstance(reply, ServerError):
            raise reply
        return reply

    def pipeline(self, commands):
        """All replies in order; errors are returned, not raised."""
        self.send(b"".join(encode(*c) for c in commands))
        return [self.reply() for _ in commands]

    def reply(self):
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            return ServerError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            length = int(rest)
            return None if length < 0 else self._exactly(length + 2)[:-2]
        if kind == b"*":
            length = int(rest)
            return None if length < 0 else [self.reply() for _ in range(length)]
        raise Disconnected(f"not RESP2: {line[:40]!r}")

    def _fill(self):
        try:
            more = self.socket.recv(1 << 16)
        except OSError as problem:
            raise Disconnected(str(problem) or "timed out") from None
        if not more:
            raise Disconnected("closed by the server")
        self.buffer = self.buffer[self.at:] + more
        self.at = 0

    def _line(self):
        while True:
            end = self.buffer.find(b"\r\n", self.at)
            if end >= 0:
                line = self.buffer[self.at:end]
                self.at = end + 2
                return line
            self._fill()

    def _exactly(self, count):
        while len(self.buffer) - self.at < count:
            self._fill()
        data = self.buffer[self.at:self.at + count]
        self.at += count
        return data
