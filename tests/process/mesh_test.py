"""The proxy must carry, cut, and carry again: otherwise a cut that never happened would pass for one survived."""
import os
import socket
import threading
import time
import unittest

from cluster import eventually, free_port
from mesh import Mesh


def echo(port, ended):
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        listener.settimeout(0.2)
        while not ended.is_set():
            try:
                end, _ = listener.accept()
            except TimeoutError:
                continue
            threading.Thread(target=serve, args=(end,), daemon=True).start()


def serve(end):
    with end:
        while data := end.recv(1 << 16):
            end.sendall(data)


class mesh(unittest.TestCase):
    def setUp(self):
        self.ended = threading.Event()
        self.mesh = Mesh()
        self.mesh.pids = lambda: {os.getpid(): "me"}
        port = free_port()
        threading.Thread(target=echo, args=(port, self.ended), daemon=True).start()
        self.port = self.mesh.listen_for("there", port)
        self.mesh.start()

    def tearDown(self):
        self.ended.set()
        self.mesh.close()

    def ask(self, end, data):
        end.sendall(data)
        back = b""
        while len(back) < len(data):
            more = end.recv(1 << 16)
            if not more:
                raise OSError("closed")
            back += more
        return back

    def connect(self):
        def attempt():
            end = socket.create_connection(("127.0.0.1", self.port), timeout=0.3)
            self.ask(end, b"hello")
            return end
        return eventually("the way through the proxy", attempt, 5)

    def test_carries_much(self):
        with self.connect() as end:
            end.settimeout(10)
            data = os.urandom(3 << 20)
            sender = threading.Thread(target=end.sendall, args=(data,))
            sender.start()
            back = b""
            while len(back) < len(data):
                back += end.recv(1 << 16)
            sender.join()
            self.assertEqual(back, data)

    def test_cut_and_heal(self):
        with self.connect() as end:
            self.mesh.cut("me", "there")
            with self.assertRaises(TimeoutError):
                self.ask(end, b"lost")
        with self.assertRaises(OSError):
            with socket.create_connection(("127.0.0.1", self.port), timeout=0.3) as late:
                self.ask(late, b"lost")
        self.assertGreater(self.mesh.swallowed, 0)
        self.mesh.heal()
        self.connect().close()

    def test_one_way(self):
        with self.connect() as end:
            self.mesh.cut("there", "me", one_way=True)
            with self.assertRaises(TimeoutError):
                self.ask(end, b"the answer is lost")

    def test_reset(self):
        with self.connect() as end:
            self.mesh.cut("me", "there", reset=True)
            with self.assertRaises(OSError):
                while True:
                    time.sleep(0.01)
                    self.ask(end, b"x")


if __name__ == "__main__":
    unittest.main()
