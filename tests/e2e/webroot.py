"""A directory to serve, and the program that serves it: what the test_files*.py start from."""

import contextlib
import os
import random
import re
import shutil
import tempfile
import time

from harness import Server, ServerTest, finish, wait_until

RACY_S = 0.05  # more than the server takes for too recent to have a strong ETag
KEPT_MAX = 65536  # bytes of a file that is kept in memory, by default
STRONG = re.compile(r'"[\x21\x23-\x7e]+"')


def noise(length, seed=0):
    """Bytes that cannot be compressed, and in which each place is different."""
    return random.Random(seed).randbytes(length)


def text(length, word="word"):
    """A text that can be compressed."""
    line = f"{word} in a text\n"
    return (line * (length // len(line) + 1))[:length].encode()


class Webroot:
    """A temporary directory: `outer` with `path`, the root, in it."""

    def __init__(self):
        self.outer = tempfile.mkdtemp(prefix="coreactor-e2e-")
        os.chmod(self.outer, 0o755)
        self.path = self.outer + "/root"
        os.mkdir(self.path)
        self.newest_s = 0

    def remove(self):
        shutil.rmtree(self.outer, ignore_errors=True)

    def of(self, name):
        return os.path.join(self.path, name)

    def put(self, name, data=b"", mtime=None):
        """Makes a file, or replaces it at once. Returns its bytes."""
        data = data.encode() if isinstance(data, str) else data
        os.makedirs(os.path.dirname(self.of(name)), exist_ok=True)
        new = self.outer + "/new"
        with open(new, "wb") as file:
            file.write(data)
        if mtime is not None:
            os.utime(new, (mtime, mtime))
        os.rename(new, self.of(name))
        self.touched(name)
        return data

    def touched(self, name):
        with contextlib.suppress(OSError):
            self.newest_s = max(self.newest_s, os.stat(self.of(name)).st_ctime)

    def settle(self):
        """Waits until no file is so new that the server would not trust its time."""
        wait_until(lambda: time.time() - self.newest_s > RACY_S, "the files are old enough")


class WebrootTest(ServerTest):
    """Tests of a server of a directory of its own."""

    def setUp(self):
        super().setUp()
        self.root = Webroot()
        self.addCleanup(self.root.remove)

    def put(self, *arguments, **options):
        return self.root.put(*arguments, **options)

    def serve_root(self, *arguments, threads=1, **options):
        self.root.settle()
        return self.serve("-j", str(threads), "--root", self.root.path, *arguments, **options)

    def serve_client(self, *arguments, **options):
        """A client of a server of the root, for those who need no more."""
        return self.connect(self.serve_root(*arguments, **options))


class SharedWebrootTest(ServerTest):
    """Tests that share a server of the root that fill() makes; it is checked when all have run."""

    ARGUMENTS = ()

    @classmethod
    def setUpClass(cls):
        cls.root = Webroot()
        cls.addClassCleanup(cls.root.remove)
        cls.fill(cls.root)
        cls.root.settle()
        cls.server = Server("-j", "1", "--root", cls.root.path, *cls.ARGUMENTS)
        cls.addClassCleanup(finish, cls.server)

    @classmethod
    def fill(cls, root):
        raise NotImplementedError

    def client(self):
        return self.connect(self.server)
