#!/usr/bin/env python3
"""Where the operator's pages may be: which addresses, and what becomes of the file of a unix socket."""

import os
import re
import socket
import stat
import subprocess
import unittest

from admin import ADMIN, AdminTest
from harness import PROGRAM, Finished, free_port, have_ipv6


class Places(AdminTest):
    def refused(self, *arguments, words):
        finished = Finished("-l", "127.0.0.1:0", "--balance", "handoff", *arguments)
        self.assertEqual((finished.status, finished.stdout), (1, ""))
        self.assertRegex(finished.stderr, rf"\Acoreactor: [^\n]*{words}[^\n]*\n\Z")

    def unix_server(self, path, **options):
        return self.serve("-j", "2", "--balance", "handoff", "--admin", "unix:" + path, **options)

    def test_addresses_that_others_reach(self):
        self.refused("--admin", "0.0.0.0:0", words="--admin-anywhere")
        self.refused("--admin", "[::]:0", words="--admin-anywhere")
        server = self.serve("-j", "1", "--admin", "0.0.0.0:0", "--admin-anywhere")
        server.admin_address = ("127.0.0.1", server.admin_address[1])
        self.assertEqual(self.ask(server, "/metrics", host="metrics.example").status, 200)

    def test_addresses_that_are_none(self):
        for text in ("9000", "localhost:9000", "127.0.0.1", "", "unix"):
            self.refused("--admin", text, words="no address for the admin pages")

    def test_addresses_that_are_taken(self):
        server = self.serve("-j", "1", *ADMIN)
        for host, port in (server.address, server.admin_address):
            self.refused("--admin", f"{host}:{port}", words="in use")
        port = free_port()
        finished = Finished("-l", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{port}", "-j", "1")
        self.assertEqual((finished.status, "in use" in finished.stderr), (1, True))

    @unittest.skipUnless(have_ipv6(), "no IPv6 here")
    def test_ipv6(self):
        server = self.serve("-j", "1", "--admin", "[::1]:0")
        self.assertTrue(server.admin_url.startswith("http://[::1]:"))
        self.assertEqual(self.ask(server, "/readyz", host="[::1]").status, 200)
        self.assertEqual(self.ask(server, "/readyz", host="evil.example").status, 421)

    def test_the_life_of_a_unix_socket(self):
        path = self.folder() + "/admin"
        server = self.unix_server(path, preexec=lambda: os.umask(0))
        self.assertEqual(server.admin_url, "unix:" + path)
        mode = os.lstat(path).st_mode
        self.assertTrue(stat.S_ISSOCK(mode))
        self.assertEqual(stat.S_IMODE(mode), 0o600)
        self.assertEqual(self.ask(server, "/metrics", host="any.example").status, 200)
        self.refused("--admin", "unix:" + path, words="in use")
        self.assertEqual(self.ask(server, "/readyz").status, 200)
        server.stop()
        self.assertFalse(os.path.lexists(path))

    def test_the_socket_of_a_dead_server_is_replaced(self):
        path = self.folder() + "/admin"
        server = self.unix_server(path)
        server.kill()
        server.checked = True
        self.assertTrue(os.path.lexists(path))
        server = self.unix_server(path)
        self.assertEqual(self.ask(server, "/readyz").status, 200)
        server.stop()
        self.assertFalse(os.path.lexists(path))

    def test_somebody_elses_socket_stays(self):
        path = self.folder() + "/admin"
        server = self.unix_server(path)
        os.rename(path, path + ".old")
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(path)
            server.stop()
            self.assertTrue(os.path.lexists(path))

    def test_what_is_no_socket_stays(self):
        path = self.folder() + "/file"
        with open(path, "w", encoding="ascii") as file:
            file.write("precious")
        self.refused("--admin", "unix:" + path, words="there is a file")
        with open(path, encoding="ascii") as file:
            self.assertEqual(file.read(), "precious")
        self.refused("--admin", f"unix:{path}.d/admin", words="No such file")
        self.refused("--admin", "unix:/" + "x" * 107, words="1 to 107 bytes")

    def test_a_start_that_fails_leaves_no_socket(self):
        path = self.folder() + "/admin"
        self.refused("--admin", "unix:" + path, "--access-log", "/nowhere/at/all", words="access log")
        self.assertFalse(os.path.lexists(path))

    def test_the_announcement(self):
        path = self.folder() + "/admin"
        finished = subprocess.run(
            [PROGRAM, "-j", "1", "-l", "127.0.0.1:0", "--admin", "unix:" + path, "--duration", "1"],
            capture_output=True, check=True, text=True)
        self.assertRegex(finished.stdout, r"\Acoreactor: listening on [^\n]+\n"
                         rf"coreactor: admin on unix:{re.escape(path)}\ncoreactor: answered [^\n]+\n\Z")


if __name__ == "__main__":
    unittest.main()
