#!/usr/bin/env python3
"""One reactor and one listening socket for each thread, on each address; and what the program says about
itself."""

import os
import re
import tempfile
import time
import unittest

from client import PAGE
from harness import (SANITIZE, Finished, ServerTest, default_port, have_ipv6, scaled,
                     wait_until)

TCP_LISTEN = "0A"
CPUS = os.sched_getaffinity(0)


def listening_inodes(port):
    """Of the sockets of this machine that listen on the port."""
    inodes = []
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        if os.path.exists(path):
            with open(path, encoding="ascii") as file:
                rows = [line.split() for line in file][1:]
            inodes += [row[9] for row in rows
                       if row[3] == TCP_LISTEN and int(row[1].rsplit(":", 1)[1], 16) == port]
    return sorted(inodes)


def socket_inodes(pid):
    links = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        links.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return [link[len("socket:["):-1] for link in links if link.startswith("socket:[")]


def task_status(server, name):
    """A line of /proc/PID/task/*/status, by thread."""
    values = {}
    for task in server.tasks():
        with open(f"/proc/{server.pid}/task/{task}/status", encoding="ascii") as file:
            values[task] = re.search(rf"^{name}:\s*(.*)$", file.read(), re.M)[1]
    return values


def wake_ups(server):
    """How often each thread has gone to sleep so far."""
    return {task: int(count)
            for task, count in task_status(server, "voluntary_ctxt_switches").items()}


class ThreadsTest(ServerTest):
    def wait_until_asleep(self, server, threads):
        """Waits until the team is there and has nothing to do; returns its wake_ups()."""
        wait_until(lambda: len(server.tasks()) >= threads, "the team is there")

        def unchanged():
            before = wake_ups(server)
            time.sleep(0.3)
            return before if before == wake_ups(server) else None
        return wait_until(unchanged, "all threads sleep") if SANITIZE != "thread" else wake_ups(server)


class Threads(ThreadsTest):
    def test_each_has_a_listening_socket(self):
        for threads in (1, 2, 8):
            with self.subTest(threads=threads):
                server = self.serve("-j", str(threads))
                self.assertEqual(server.reactors, threads)
                inodes = listening_inodes(server.address[1])
                self.assertEqual(len(inodes), threads)
                self.assertEqual(inodes, sorted(socket_inodes(server.pid)))
                server.stop()
                self.assertEqual(listening_inodes(server.address[1]), [])

    def test_each_serves(self):
        for threads in (1, 2, 8):
            with self.subTest(threads=threads):
                # By the kernel's hash, and without a thread that looks after the others.
                server = self.serve("-j", str(threads), "--balance", "hash", "--stall-warning", "0")
                before = self.wait_until_asleep(server, threads)
                # Each of n sockets gets one of 60 n connections at least: that it does not is less
                # likely than 1 in 10^20.
                for _ in range(60 * threads):
                    self.assert_serves(server)
                after = wake_ups(server)
                woken = [task for task in after if after[task] > before.get(task, 0)]
                self.assertGreaterEqual(len(woken), threads)
                if not SANITIZE:
                    self.assertEqual(len(after), threads)

    @unittest.skipIf(SANITIZE == "thread", "the sanitizer has a thread of its own")
    def test_an_idle_server_sleeps(self):
        server = self.serve("-j", "2")
        with server.client() as client:
            self.assertEqual(client.get().status, 200)
            # With an idle connection too. That nothing happens for a while is what is waited for.
            self.wait_until_asleep(server, 2)

    def test_every_connection_is_served_whichever_thread_has_it(self):
        server = self.serve("-j", "8")
        clients = [self.connect(server) for _ in range(scaled(400, 100))]
        for _ in range(2):
            for client in clients:
                self.assertEqual(client.get().body, PAGE)


class Defaults(ThreadsTest):
    def reactors(self, **options):
        server = self.serve(**options)
        self.assert_serves(server)
        return server.reactors

    def test_the_affinity_of_the_process_counts(self):
        # A control group's quota may make it fewer, but one is one.
        everything = self.reactors()
        self.assertLessEqual(everything, len(CPUS))
        one = min(CPUS)
        self.assertEqual(self.reactors(preexec=lambda: os.sched_setaffinity(0, {one})), 1)
        if not self.quota():
            self.assertEqual(everything, len(CPUS))

    def quota(self):
        """Whether a control group may limit the time."""
        text = ""
        for folder, _, files in os.walk("/sys/fs/cgroup"):
            for name in {"cpu.max", "cpu.cfs_quota_us"}.intersection(files):
                with open(f"{folder}/{name}", encoding="ascii") as file:
                    text += file.read().split()[0] + " "
        return bool(re.search(r"(?<![-\d])\d", text))

    def test_binding_threads_does_not_change_how_many(self):
        everything = self.reactors()
        for env in ({"OMP_PROC_BIND": "true"}, {"OMP_PROC_BIND": "spread"}, {"OMP_PLACES": "threads"},
                    {"OMP_PROC_BIND": "close", "OMP_PLACES": "cores"}):
            with self.subTest(env=env):
                self.assertEqual(self.reactors(env=env), everything)

    def test_the_address(self):
        with default_port() as port:
            server = self.serve("-j", "1", listen=())
            self.assertEqual(server.address, ("127.0.0.1", port))
            self.assert_serves(server)
            server.stop()


class Binding(ThreadsTest):
    @unittest.skipIf(len(CPUS) < 2, "needs two CPUs")
    def test_each_thread_has_a_cpu_of_its_own(self):
        for env in ({"OMP_PROC_BIND": "true"}, {"OMP_PROC_BIND": "spread", "OMP_PLACES": "threads"}):
            with self.subTest(env=env):
                server = self.serve("-j", "2", env=env)

                def are_bound(server=server):
                    cpus = task_status(server, "Cpus_allowed_list").values()
                    return len({cpu for cpu in cpus if cpu.isdigit()}) == 2
                wait_until(are_bound, "two threads have a CPU each")
                self.assert_serves(server)

    @unittest.skipIf(len(CPUS) < 2, "needs two CPUs")
    def test_the_access_log_may_use_all_cpus(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        server = self.serve("-j", "2", "--access-log", f"{folder}/access.log",
                            env={"OMP_PROC_BIND": "true"})
        names = {}
        wait_until(lambda: names.update(task_status(server, "Name")) or
                   "access-log" in names.values(), "the access log has its thread")
        cpus = task_status(server, "Cpus_allowed_list")
        for task, name in names.items():
            if name == "access-log":
                self.assertFalse(cpus[task].isdigit(), cpus)

    @unittest.skipIf(len(CPUS) < 2, "needs two CPUs")
    def test_nobody_is_bound_unasked(self):
        server = self.serve("-j", "2")
        self.wait_until_asleep(server, 2)
        for cpus in task_status(server, "Cpus_allowed_list").values():
            self.assertFalse(cpus.isdigit(), cpus)


class Addresses(ThreadsTest):
    def assert_all_serve(self, server, threads):
        for host, port in server.addresses:
            self.assertEqual(len(listening_inodes(port)), threads)
        for address in server.addresses * 10:
            with server.client(address=address) as client:
                self.assertEqual(client.get().body, PAGE)

    @unittest.skipUnless(have_ipv6(), "no IPv6 here")
    def test_ipv6(self):
        for threads in (1, 2):
            server = self.serve("-j", str(threads), listen=("[::1]:0",))
            self.assertEqual(server.addresses[0][0], "::1")
            self.assert_all_serve(server, threads)

    @unittest.skipUnless(have_ipv6(), "no IPv6 here")
    def test_both_families_on_one_port(self):
        server = self.serve("-j", "2", listen=("127.0.0.1:0",))
        port = server.address[1]
        other = self.serve("-j", "2", listen=(f"[::1]:{port}",))
        self.assertEqual(other.address, ("::1", port))
        self.assertEqual(len(listening_inodes(port)), 4)
        self.assert_serves(other)

    def test_several(self):
        listen = ("127.0.0.1:0", "127.0.0.2:0", "127.0.0.1:0") + (("[::1]:0",) if have_ipv6() else ())
        for threads in (1, 2, 8):
            with self.subTest(threads=threads):
                server = self.serve("-j", str(threads), listen=listen)
                self.assertEqual([host for host, _ in server.addresses],
                                 [text.rsplit(":", 1)[0].strip("[]") for text in listen])
                self.assertEqual(len({port for _, port in server.addresses}), len(listen))
                self.assertEqual(len(socket_inodes(server.pid)), len(listen) * threads)
                self.assert_all_serve(server, threads)
                answered = 10 * len(listen)
                self.assertEqual(server.stop(), (answered, answered))


class About(ThreadsTest):
    def text(self, *arguments):
        finished = Finished(*arguments)
        self.assertEqual((finished.status, finished.stderr), (0, ""))
        return finished.stdout

    def test_version(self):
        for option in ("-V", "--version"):
            self.assertRegex(self.text(option), (
                r"\Acoreactor \d+\.\d+\.\d+\n"
                r"compiler: (GNU|Clang|AppleClang) [\d.]+\n"
                r"build: \w+(, sanitizers [\w,]+)?\n"
                r"features: openmp \d+, glib 2\.\d+\.\d+, byte scanner [\w.]+"
                r", (no libbpf|libbpf [\d.]+), (no )?brotli[^,]*, (no )?zlib[^,]*, (no )?zstd[^,]*\n\Z"))
        self.assertEqual(f", sanitizers {SANITIZE}\n" in self.text("-V"), bool(SANITIZE))

    def test_help(self):
        text = self.text("--help")
        self.assertEqual(self.text("-h"), text)
        for option in ("-l, --listen=ADDR:PORT", "-j, --threads=N", "-d, --duration=SECONDS",
                       "--drain-timeout=SECONDS", "--backlog=N", "--max-connections=N", "-q, --quiet",
                       "-h, --help", "-V, --version"):
            self.assertRegex(text, rf"(?m)^  {re.escape(option)} +\w")
        self.assertIn("127.0.0.1:18470", text)

    def test_help_comes_before_serving(self):
        self.assertIn("Usage:", self.text("-j", "1", "-l", "127.0.0.1:0", "--help"))


if __name__ == "__main__":
    unittest.main()
