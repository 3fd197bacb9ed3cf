"""Loopback proxies between the nodes, so that a test can cut any link, in one direction or in both.

All nodes dial member X by the one proxy before X: the founders' table must be the same everywhere. Who dials is read
from /proc: the process that holds the other end of the accepted connection. A cut swallows bytes without closing, as a
network does; `reset=True` closes instead.
"""
import os
import selectors
import socket
import threading


def owner_of(port, pids):
    """The name in `pids` ({pid: name}) of the process whose socket has local port `port`."""
    inode = None
    with open("/proc/net/tcp") as table:
        next(table)
        for line in table:
            fields = line.split()
            if int(fields[1].split(":")[1], 16) == port and fields[3] == "01":
                inode = fields[9]
                break
    if inode in (None, "0"):
        return None
    wanted = f"socket:[{inode}]"
    for pid, name in pids.items():
        if wanted in _open_files(pid):
            return name
    return None


def _open_files(pid):
    try:
        numbers = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return
    for fd in numbers:
        try:
            yield os.readlink(f"/proc/{pid}/fd/{fd}")
        except OSError:  # closed meanwhile; the others are still to be looked at
            continue


class Pipe:
    """One direction of one connection."""

    def __init__(self, source, target, link, reading, writing):
        self.source, self.target, self.link = source, target, link  # link: (from, to)
        self.reading, self.writing = reading, writing
        self.waiting = b""
        self.cut = False


class Mesh:
    LIMIT = 1 << 20  # bytes held per pipe

    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.listeners = []
        self.pipes = {}   # reading socket -> its pipe
        self.blocked = set()
        self.lock = threading.Lock()
        self.wake_read, self.wake_write = os.pipe()
        self.selector.register(self.wake_read, selectors.EVENT_READ)
        self.pids = dict
        self.ended = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.forwarded = 0
        self.swallowed = 0

    def listen_for(self, name, port):
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        listener.setblocking(False)
        self.listeners.append(listener)
        self.selector.register(listener, selectors.EVENT_READ, (name, port))
        return listener.getsockname()[1]

    def start(self):
        self.thread.start()

    def cut(self, a, b, one_way=False, reset=False):
        """Nothing goes from a to b any more, nor back unless `one_way`."""
        with self.lock:
            self.blocked |= {(a, b)} if one_way else {(a, b), (b, a)}
        if reset:
            self._post(("reset", a, b))

    def isolate(self, name, others):
        for other in others:
            if other != name:
                self.cut(name, other)

    def heal(self):
        """Connections that lost bytes are closed: TCP would not have gone on as if nothing had happened."""
        with self.lock:
            self.blocked.clear()
        self._post(("heal",))

    def close(self):
        self.ended = True
        self._post(("end",))
        if self.thread.is_alive():
            self.thread.join(5)
        for thing in [*self.listeners, *self.pipes]:
            thing.close()
        self.selector.close()
        os.close(self.wake_read)
        os.close(self.wake_write)

    def _post(self, command):
        with self.lock:
            self.commands = getattr(self, "commands", [])
            self.commands.append(command)
        os.write(self.wake_write, b"x")

    def _drop(self, pipe):
        for end in (pipe.reading, pipe.writing):
            if self.pipes.pop(end, None) is not None:
                try:
                    self.selector.unregister(end)
                except (KeyError, ValueError):
                    pass
            end.close()

    def _accept(self, listener, name, port):
        try:
            inward, peer = listener.accept()
        except OSError:
            return
        who = owner_of(peer[1], self.pids())
        with self.lock:
            blocked = who is None or (who, name) in self.blocked  # whose link it is not known could not be cut: it dials again
        outward = socket.socket()
        outward.settimeout(1)
        try:
            if blocked:
                raise OSError("cut")  # as if the SYN was lost; closing is the nearest a proxy can do
            outward.connect(("127.0.0.1", port))
        except OSError:
            inward.close()
            outward.close()
            return
        for end in (inward, outward):
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pipes[inward] = Pipe(who, name, (who, name), inward, outward)
        self.pipes[outward] = Pipe(name, who, (name, who), outward, inward)
        for end in (inward, outward):
            self.selector.register(end, selectors.EVENT_READ)

    def _interest(self, pipe):
        """Reads while there is room; writes while something waits for that socket."""
        for end in (pipe.reading, pipe.writing):
            mine, towards = self.pipes.get(end), next((p for p in (pipe, self.pipes.get(pipe.writing)) if p and p.writing is end), None)
            events = 0
            if mine and len(mine.waiting) < self.LIMIT:
                events |= selectors.EVENT_READ
            if towards and towards.waiting:
                events |= selectors.EVENT_WRITE
            try:
                if events:
                    self.selector.modify(end, events)
            except (KeyError, ValueError):
                pass

    def _push(self, pipe):
        if pipe.waiting:
            try:
                sent = pipe.writing.send(pipe.waiting)
                self.forwarded += sent
                pipe.waiting = pipe.waiting[sent:]
            except BlockingIOError:
                pass

    def _ready(self, end, events):
        pipe = self.pipes.get(end)
        if pipe is None:
            return
        try:
            if events & selectors.EVENT_WRITE:
                back = self.pipes.get(pipe.writing)
                if back:
                    self._push(back)
            if events & selectors.EVENT_READ and len(pipe.waiting) < self.LIMIT:
                data = end.recv(1 << 16)
                if not data:
                    self._drop(pipe)
                    return
                with self.lock:
                    blocked = pipe.link in self.blocked
                if blocked or pipe.cut:
                    pipe.cut = True
                    self.swallowed += len(data)
                else:
                    pipe.waiting += data
                    self._push(pipe)
            self._interest(pipe)
        except BlockingIOError:
            pass
        except OSError:
            self._drop(pipe)

    def _run(self):
        while not self.ended:
            for key, events in self.selector.select(1.0):
                if key.fileobj == self.wake_read:
                    os.read(self.wake_read, 4096)
                    with self.lock:
                        todo, self.commands = getattr(self, "commands", []), []
                    for command in todo:
                        for pipe in list(self.pipes.values()):
                            if command[0] == "heal" and pipe.cut or \
                               command[0] == "reset" and pipe.link in ((command[1], command[2]), (command[2], command[1])):
                                self._drop(pipe)
                elif key.data:
                    self._accept(key.fileobj, *key.data)
                else:
                    self._ready(key.fileobj, events)
