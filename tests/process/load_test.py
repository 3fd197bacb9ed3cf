"""Load, client and checker against a server that is known to be right, and against one that lies. Skipped without Redis."""
import shutil
import socketserver
import sys
import threading
import time
import types
import unittest

from cluster import eventually, free_port, launch
from linear import ILLEGAL, LEGAL, check
from load import Load
from resp import Client


def server_at(port):
    return types.SimpleNamespace(name="redis", redis_port=port, client=lambda timeout: Client(port, timeout=timeout))


class liar(socketserver.StreamRequestHandler):
    """Forgets every 40th SET that it acknowledges."""
    values = {}
    serial = 0

    def handle(self):
        while line := self.rfile.readline():
            words = []
            for _ in range(int(line[1:])):
                length = int(self.rfile.readline()[1:])
                words.append(self.rfile.read(length + 2)[:-2])
            if words[0] == b"SET":
                liar.serial += 1
                if liar.serial % 40:
                    self.values[words[1]] = words[2]
                self.wfile.write(b"+OK\r\n")
            elif words[0] == b"GET":
                value = self.values.get(words[1])
                self.wfile.write(b"$-1\r\n" if value is None else b"$%d\r\n%s\r\n" % (len(value), value))


class load(unittest.TestCase):
    def test_a_correct_server_passes(self):
        if not shutil.which("redis-server"):
            self.skipTest("no redis-server here")
        port = free_port()
        process = launch(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
                         stdout=-3, stderr=-3)
        try:
            eventually("redis", lambda: Client(port).call("PING") == "PONG")
            with Load([server_at(port)], pause=0.001) as work:
                time.sleep(2)
            work.read_all(server_at(port))
            self.assertEqual(work.errors, [])
            self.assertGreater(work.acknowledged(), 200)
            verdict, text = check(work.history)
            self.assertEqual(verdict, LEGAL, text)
        finally:
            process.kill()
            process.wait()

    def test_a_lying_server_is_caught(self):
        with socketserver.ThreadingTCPServer(("127.0.0.1", 0), liar) as server:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, daemon=True).start()
            node = server_at(server.server_address[1])
            with Load([node], pause=0.001, mix={"set": 1, "get": 1}) as work:
                time.sleep(1.5)
            server.shutdown()
        self.assertEqual(work.errors, [])
        self.assertEqual(check(work.history)[0], ILLEGAL)


if __name__ == "__main__":
    unittest.main()
