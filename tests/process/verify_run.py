"""`cohort verify` on the directory of a real node: while it runs, when it is sound, with flipped bytes, and nonsense.

`verify_run.py COHORT COHORT-KV`.
"""
import pathlib
import subprocess
import sys
import tempfile

from cluster import Cluster, eventually

program, server = sys.argv[1:]


def verify(*directories):
    done = subprocess.run([program, "verify", *map(str, directories)], capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


def expect(code, words, *directories):
    got, out, err = verify(*directories)
    assert got == code, f"exit {got} instead of {code}: {out}{err}"
    for word in words:
        assert word in out + err, f"'{word}' is not in: {out}{err}"


with Cluster(server) as cluster, tempfile.TemporaryDirectory() as other:
    cluster.start().ready()
    node = cluster.nodes[0]
    mark = b"a value to be found in the file"
    for i in range(50):
        assert node.call("SET", f"key:{i}", mark) == "OK"
    expect(2, ["already open", f"process {node.pid}", "stop that process"], node.data)
    assert node.call("PING") == "PONG", "the node was harmed"
    for each in cluster.nodes:
        assert each.stop() == 0
    directories = [n.data for n in cluster.nodes]
    expect(0, ["sound", "node n1", "node n3", "group kv: journaled, epoch 1", "records", "checkpoint", "bytes"], *directories)

    data = node.data / "journal.mdb"
    sound = data.read_bytes()
    assert mark in sound, "the value is not in the file"
    data.write_bytes(sound.replace(mark, mark[:-1] + b"E"))
    # A node that is stopped leaves a checkpoint.
    expect(1, ["DAMAGED", "chunk 1 of the checkpoint", "move the data directory away"], node.data)
    expect(1, ["DAMAGED", "node n2", "no such directory"], pathlib.Path(other) / "absent", *directories)  # damage counts more
    data.write_bytes(sound[:4 * 4096])
    expect(1, ["DAMAGED"], node.data)
    data.write_bytes(sound)
    expect(0, ["sound"], node.data)

    expect(2, ["no such directory"], pathlib.Path(other) / "absent")
    expect(2, ["not a directory"], data)
    expect(2, ["holds no journal"], other)
    expect(2, ["required"])
    cluster.start().ready()  # looking changed nothing
    assert node.call("GET", "key:49") == mark
    # One that is killed leaves records.
    late = b"a value that only a record holds"
    assert node.call("SET", "key:late", late) == "OK"

    def is_on_disk():  # the two others' disks are enough for the answer
        told = node.info()
        return int(told["durable_index"]) >= int(told["applied_index"])

    eventually("the record is on this node's disk", is_on_disk, 10)
    for each in cluster.nodes:
        each.kill()
    sound = data.read_bytes()
    assert late in sound, "the value is not in the file"
    expect(0, ["sound"], node.data)
    data.write_bytes(sound.replace(late, late[:-1] + b"E"))
    expect(1, ["DAMAGED", "record at position", "move the data directory away"], node.data)
print("verified")
