"""The layer check must find what it is there for: each offence planted, each lawful neighbour left alone."""
import sys
import unittest

sys.path.insert(0, __file__.rsplit("/", 1)[0])
from layers import offences  # noqa: E402


def bad(path, line):
    return bool(list(offences(path, line)))


class layer_check(unittest.TestCase):
    def test_offences(self):
        for path, line in [
            ("framework/protocol/core.cpp", "#include <thread>"),
            ("framework/protocol/core.cpp", "#include <caf/all.hpp>"),
            ("framework/protocol/core.cpp", '#include "transport/loop.hpp"'),
            ("framework/protocol/core.cpp", "#include <sys/socket.h>"),
            ("framework/view.hpp", "#include <random>"),
            ("transport/endpoint.cpp", '#include "persistence/journal.hpp"'),
            ("persistence/journal.cpp", '#include "transport/loop.hpp"'),
            ("persistence/journal.cpp", "#include <capnp/message.h>"),
            ("persistence/journal.hpp", "#include <lmdb.h>"),
            ("transport/codec.hpp", '#include "transport/wire.capnp.h"'),
            ("actors/node.cpp", "#include <lmdb.h>"),
            ("actors/node.cpp", '#include "samples/kv/store.hpp"'),
            ("transport/endpoint.cpp", "#include <spdlog/spdlog.h>"),
        ]:
            self.assertTrue(bad(path, line), (path, line))

    def test_lawful(self):
        for path, line in [
            ("framework/protocol/core.cpp", "#include <vector>"),
            ("framework/protocol/core.cpp", '#include "framework/protocol/core.hpp"'),
            ("framework/stream.cpp", "#include <cohort/stream.hpp>"),
            ("transport/codec.cpp", '#include "transport/wire.capnp.h"'),
            ("persistence/journal.cpp", "#include <lmdb.h>"),
            ("actors/node.cpp", '#include "transport/endpoint.hpp"'),
            ("actors/node.cpp", "#include <caf/all.hpp>"),
            ("tests/unit/journal.cpp", '#include "persistence/journal.hpp"'),
        ]:
            self.assertFalse(bad(path, line), (path, line))


if __name__ == "__main__":
    unittest.main()
