"""What a node's surroundings do to it, for one node at a time: its file system gets read-only or fails, its clock jumps."""
import fcntl
import glob
import os
import pathlib
import struct
import subprocess

EXT4_IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = struct.pack("I", 2)  # what is not on the disk by now is lost


def done(*command):
    """Whether a command ran well."""
    try:
        return subprocess.run([str(c) for c in command], capture_output=True, stdin=subprocess.DEVNULL).returncode == 0
    except FileNotFoundError:
        return False


class Disk:
    """An ext4 file system of its own in a file, mounted at `where`. `mounted` is False where that is not possible."""

    def __init__(self, where, image, megabytes=256):
        self.where, self.image = pathlib.Path(where), pathlib.Path(image)
        self.where.mkdir(exist_ok=True)
        with open(image, "wb") as file:
            file.truncate(megabytes << 20)
        self.mounted = os.geteuid() == 0 and done("mkfs.ext4", "-q", "-F", image) and \
            done("mount", "-o", "loop,errors=remount-ro", image, where)

    def remount(self, how):
        """`ro` or `rw`; nobody may be writing."""
        assert done("mount", "-o", f"remount,{how}", self.where), f"{self.where} cannot be remounted {how}"

    def error(self):
        """As the kernel does when it finds the file system inconsistent: read-only at once, whoever is writing."""
        device = pathlib.Path(os.path.realpath(self._device())).name
        pathlib.Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("test")

    def fail(self):
        """Every later access that needs the device fails, as when it was pulled out."""
        fd = os.open(self.where, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, NO_LOG_FLUSH)
        finally:
            os.close(fd)

    def repair(self):
        """Mounted anew, with what the device holds. Nobody may have a file open."""
        assert done("umount", self.where), f"{self.where} is in use"
        subprocess.run(["e2fsck", "-p", "-f", str(self.image)], capture_output=True, stdin=subprocess.DEVNULL)
        assert done("mount", "-o", "loop,errors=remount-ro", self.image, self.where), f"{self.image} cannot be mounted"

    def close(self):
        if self.mounted:
            done("umount", "-l", self.where)
            self.mounted = False

    def _device(self):
        for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
            device, where, *_ = line.split()
            if where == str(self.where.resolve()):
                return device
        raise AssertionError(f"{self.where} is not mounted")


class Clock:
    """The realtime clock of one node's process, by libfaketime; the monotonic one is left alone."""

    def __init__(self, node):
        self.node = node
        self.file = node.cluster.folder / f"{node.name}.clock"
        self.jump(0)
        node.environment = {"LD_PRELOAD": self.library(), "FAKETIME_TIMESTAMP_FILE": str(self.file), "FAKETIME_NO_CACHE": "1",
                            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}

    @staticmethod
    def library():
        found = sorted(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1"))
        return found[0] if found else None

    def jump(self, seconds):
        """Seconds from the true time, from now on."""
        fresh = self.file.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}\n")
        fresh.replace(self.file)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """What libfaketime leaves behind of a process that was killed."""
        if self.node.process:
            for name in (f"faketime_shm_{self.node.pid}", f"sem.faketime_sem_{self.node.pid}"):
                pathlib.Path("/dev/shm", name).unlink(missing_ok=True)
