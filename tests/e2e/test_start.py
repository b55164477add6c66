#!/usr/bin/env python3
"""Starting: what stands in the way is said in one line on stderr, with exit status 1, or 2 when it is the
command line; and what does not stand in the way is not mentioned."""

import ctypes
import os
import resource
import socket
import subprocess
import unittest

from client import PAGE
from harness import (PATIENCE_S, SANITIZE, Finished, ServerTest, free_port, limit_descriptors,
                     wait_until)

PR_CAPBSET_DROP = 24
CAP_NET_BIND_SERVICE = 10


def may_not_bind_low_ports():
    if os.geteuid() == 0:
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_NET_BIND_SERVICE, 0, 0, 0)


def unprivileged_port_start():
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as file:
        return int(file.read())


class StartTest(ServerTest):
    def assert_fails(self, status, words, *arguments, **options):
        """It ends with `status`, having said one line with `words` in it, and nothing on stdout."""
        finished = Finished(*arguments, **options)
        self.assertEqual((finished.status, finished.stdout), (status, ""), finished.stderr)
        self.assertRegex(finished.stderr, r"\Acoreactor: [^\n]+\n\Z")
        self.assertIn(words, finished.stderr)


class Ports(StartTest):
    def assert_in_use(self, port, threads):
        self.assert_fails(1, f"127.0.0.1:{port} is in use",
                          "-l", f"127.0.0.1:{port}", "-j", str(threads))

    def test_a_port_of_another_program(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            for threads in (1, 2):
                self.assert_in_use(other.getsockname()[1], threads)

    def test_a_port_of_a_program_that_shares_it(self):
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            other.bind(("127.0.0.1", 0))
            other.listen()
            self.assert_in_use(other.getsockname()[1], 2)

    def test_a_port_of_another_coreactor(self):
        for threads in (1, 2):
            server = self.serve("-j", str(threads))
            for other_threads in (1, 2):
                self.assert_in_use(server.address[1], other_threads)
            self.assert_serves(server)

    def test_the_same_port_twice(self):
        port = free_port()
        self.assert_fails(1, "in use", "-l", f"127.0.0.1:{port}", "-l", f"127.0.0.1:{port}")

    def test_only_the_second_of_two_is_in_use(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            self.assert_fails(1, f":{port} is in use", "-l", "127.0.0.1:0", "-l", f"127.0.0.1:{port}")

    def test_a_port_that_was_in_use_a_moment_ago(self):
        # Connections that the server closed first leave its address in TIME_WAIT.
        port = free_port()
        for _ in range(3):
            server = self.serve("-j", "2", listen=(f"127.0.0.1:{port}",))
            with server.client() as client:
                self.assertEqual(client.get("/", "Connection: close").body, PAGE)
                client.expect_end()
            server.stop()

    @unittest.skipIf(unprivileged_port_start() < 2, "every port is open to everybody here")
    def test_a_port_for_root_only(self):
        self.assert_fails(1, "127.0.0.1:1: ports below", "-l", "127.0.0.1:1",
                          preexec=may_not_bind_low_ports)


class Addresses(StartTest):
    def test_bad_ones(self):
        for bad in ("", "nonsense", "80", ":80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
                    "127.0.0.1:-1", "127.0.0.1:http", "127.0.0.1:8080x", "localhost:8080", "::1:8080",
                    "[::1]", "[::1]:", "[127.0.0.1]:80", "[::1:80", "256.0.0.1:80", "1.2.3:80",
                    "x" * 1000 + ":80"):
            with self.subTest(address=bad[:40]):
                self.assert_fails(1, bad[:40], "-l", bad)
                self.assert_fails(1, bad[:40], "-l", "127.0.0.1:0", "-l", bad)

    def test_one_that_this_machine_does_not_have(self):
        # 192.0.2.0/24 is for documentation (RFC 5737).
        self.assert_fails(1, "cannot listen on 192.0.2.1:8080", "-l", "192.0.2.1:8080")


class Usage(StartTest):
    def test_bad_ones(self):
        for words, arguments in (
                ("--nonsense", ["--nonsense"]), ("-x", ["-x"]), ("'extra'", ["extra"]),
                ("'extra'", ["-j", "1", "extra"]), ("-j", ["-j"]), ("-l", ["-l"]),
                ("--threads", ["--threads"]), ("'0'", ["-j", "0"]), ("'-1'", ["-j", "-1"]),
                ("'1025'", ["-j", "1025"]), ("'two'", ["-j", "two"]), ("'2x'", ["-j2x"]),
                ("''", ["--threads="]), ("' 1'", ["-j", " 1"]), ("'1.5'", ["-d", "1.5"]),
                ("'0'", ["-d", "0"]), ("'0x10'", ["--duration=0x10"]),
                ("'99999999999999999999'", ["-d", "99999999999999999999"]),
                ("'-1'", ["--drain-timeout=-1"]), ("'0'", ["--backlog", "0"]),
                ("'0'", ["--max-connections", "0"])):
            with self.subTest(arguments=arguments):
                self.assert_fails(2, words, *arguments)

    def test_usage_comes_before_everything_else(self):
        self.assert_fails(2, "'0'", "-l", "nonsense", "-j", "0")

    def test_numbers_in_every_spelling(self):
        for arguments in (["-j", "2"], ["-j2"], ["--threads", "2"], ["--threads=2"]):
            with self.subTest(arguments=arguments):
                server = self.serve(*arguments, "--backlog=16", "-d1000")
                self.assertEqual(server.reactors, 2)
                self.assert_serves(server)


class Threads(StartTest):
    def test_more_than_openmp_may_have(self):
        self.assert_fails(1, "cannot have 2 threads", "-l", "127.0.0.1:0", "-j", "2",
                          env={"OMP_THREAD_LIMIT": "1"})

    def test_one_is_always_there(self):
        server = self.serve("-j", "1", env={"OMP_THREAD_LIMIT": "1"})
        self.assert_serves(server)

    def test_openmp_dynamic_takes_none_away(self):
        server = self.serve("-j", "8", env={"OMP_DYNAMIC": "true", "OMP_NUM_THREADS": "1"})
        self.assertEqual(server.reactors, 8)
        wait_until(lambda: len(server.tasks()) >= 8, "the team is there")
        self.assert_serves(server)

    @unittest.skipIf(SANITIZE, "sanitizers need more address space than anyone has")
    def test_more_than_there_is_memory_for(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_STACK, (8 << 20, 8 << 20))
            resource.setrlimit(resource.RLIMIT_AS, (300 << 20, 300 << 20))
        self.assert_fails(1, "cannot have 64 threads", "-l", "127.0.0.1:0", "-j", "64", preexec=limit)
        server = self.serve("-j", "2", preexec=limit)
        self.assert_serves(server)

    @unittest.skipIf(SANITIZE, "sanitizers need more address space than anyone has")
    def test_stacks_that_there_is_no_memory_for(self):
        # Threads of the default size can be had, the ones that OpenMP makes cannot: it ends the process
        # then, but nothing was announced that is not so.
        def limit():
            resource.setrlimit(resource.RLIMIT_STACK, (8 << 20, 8 << 20))
            resource.setrlimit(resource.RLIMIT_AS, (300 << 20, 300 << 20))
        finished = Finished("-l", "127.0.0.1:0", "-j", "2", preexec=limit,
                            env={"OMP_STACKSIZE": "1G"})
        self.assertNotEqual(finished.status, 0)
        self.assertEqual(finished.stdout, "")
        self.assertIn("libgomp", finished.stderr)

    def test_more_than_there_are_descriptors_for(self):
        for descriptors in range(6, 30, 3):
            with self.subTest(descriptors=descriptors):
                self.assert_fails(1, "Too many open files", "-l", "127.0.0.1:0", "-j", "16",
                                  preexec=limit_descriptors(descriptors))


class Output(StartTest):
    """A server that cannot speak still serves."""

    def assert_works(self, **options):
        server = self.serve("-j", "2", listen=(f"127.0.0.1:{free_port()}",), **options)
        wait_until(lambda: self.is_listening(server), "it listens")
        for _ in range(10):
            self.assert_serves(server)
        server.stop()

    def is_listening(self, server):
        self.assertIsNone(server.process.poll(), server.stderr())
        try:
            server.client().close()
        except ConnectionRefusedError:
            return False
        return True

    def test_stdout_is_closed(self):
        self.assert_works(stdout=subprocess.DEVNULL, preexec=lambda: os.close(1))

    def test_all_standard_streams_are_closed(self):
        self.assert_works(stdout=subprocess.DEVNULL, preexec=lambda: os.closerange(0, 3))

    def test_stdout_is_full(self):
        with open("/dev/full", "wb") as full:
            self.assert_works(stdout=full)

    def test_text_that_was_asked_for_must_arrive(self):
        for option in ("--help", "--version"):
            with open("/dev/full", "wb") as full:
                self.assert_fails(1, "standard output", option, stdout=full)

    def test_nobody_reads_stdout(self):
        reader, writer = os.pipe()
        os.close(reader)
        with open(writer, "wb") as pipe:
            self.assert_works(stdout=pipe)

    def test_quiet_says_nothing(self):
        for option in ("-q", "--quiet"):
            server = self.serve(option, "-j", "2", listen=(f"127.0.0.1:{free_port()}",))
            wait_until(lambda server=server: self.is_listening(server), "it listens")
            self.assert_serves(server)
            self.assertIsNone(server.stop())
            self.assertEqual(server.wait(PATIENCE_S), (0, ""))


if __name__ == "__main__":
    unittest.main()
