#!/usr/bin/env python3
"""What `cmake --install` installs is complete and usable by a stranger's program.

COREACTOR_BUILD is the build directory to install from."""

import ctypes
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import unittest

from harness import ROOT, SANITIZE, curl, default_port, environment, wait_until

BUILD = os.environ.get("COREACTOR_BUILD") or ROOT + "/build/release"
# With these alone a program is compiled: the install must bring everything else.
COMPILER = ["cc", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]


def run(*command, **options):
    """Runs a command and returns what it printed; raises with all that it said."""
    result = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if result.returncode:
        raise AssertionError(f"{shlex.join(command)}:\n{result.stdout}{result.stderr}")
    return result.stdout


@unittest.skipIf(SANITIZE, "nobody installs a build with sanitizers")
class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        # One that nothing knew of when the build was configured.
        cls.prefix = folder.name + "/prefix"
        cls.scratch = folder.name
        run("cmake", "--install", BUILD, "--prefix", cls.prefix)
        cls.libraries = cls.folder_of("libcoreactor.a")
        cls.pkg_config_path = cls.folder_of("coreactor.pc")

    @classmethod
    def folder_of(cls, name):
        for folder, _, files in os.walk(cls.prefix):
            if name in files:
                return folder
        raise AssertionError(f"{name} is not installed")

    def pkg_config(self, *arguments):
        return shlex.split(run("pkg-config", *arguments, "coreactor",
                               env=environment({"PKG_CONFIG_PATH": self.pkg_config_path})))

    def compile(self, source, static):
        """Compiles a program of one file the way a stranger would, and returns its path."""
        program = f"{self.scratch}/{'static' if static else 'shared'}"
        libraries = self.pkg_config("--libs", *(["--static"] if static else []))
        if static:
            self.assertIn("-lcoreactor", libraries)
            libraries[libraries.index("-lcoreactor")] = "-l:libcoreactor.a"
        run(*COMPILER, source, "-o", program, *self.pkg_config("--cflags"), *libraries)
        needed = re.findall(r"NEEDED.*\[(.*)\]", run("readelf", "-d", program))
        self.assertEqual("libcoreactor.so.0" in needed, not static, needed)
        return program

    def assert_answers(self, program):
        """On the default port, which examples/hello.c uses."""
        with default_port() as port:
            with subprocess.Popen([program], env=environment({"LD_LIBRARY_PATH": self.libraries}),
                                  stdin=subprocess.DEVNULL) as process:
                try:
                    answer = wait_until(lambda: self.try_curl(process, port), "it answers")
                    self.assertEqual(answer, "Hello!\n")
                finally:
                    process.terminate()
                    self.assertEqual(process.wait(60), 0)  # it drains

    def try_curl(self, process, port):
        self.assertIsNone(process.poll())
        try:
            return curl(f"http://127.0.0.1:{port}/")
        except AssertionError:
            return None

    def test_everything_is_there(self):
        folder = os.path.relpath(self.libraries, self.prefix)
        for path in ("bin/coreactor", "include/coreactor/http.h", "include/coreactor/reactor.h",
                     "include/coreactor/server.h", "share/man/man1/coreactor.1",
                     f"{folder}/libcoreactor.a", f"{folder}/libcoreactor.so",
                     f"{folder}/libcoreactor.so.0", f"{folder}/pkgconfig/coreactor.pc"):
            with self.subTest(path=path):
                self.assertTrue(os.path.isfile(f"{self.prefix}/{path}"))
        self.assertTrue(os.access(f"{self.prefix}/bin/coreactor", os.X_OK))
        headers = sorted(os.listdir(f"{self.prefix}/include/coreactor"))
        self.assertEqual(headers, sorted(os.listdir(f"{ROOT}/include/coreactor")))

    def test_the_installed_program_needs_nothing_of_the_build(self):
        program = f"{self.prefix}/bin/coreactor"
        self.assertRegex(run(program, "--version"), r"\Acoreactor \d")
        self.assertNotRegex(run("readelf", "-d", program), r"R(UN)?PATH|libcoreactor")

    def test_the_man_page_is_about_every_option(self):
        help_text = run(f"{self.prefix}/bin/coreactor", "--help")
        with open(f"{self.prefix}/share/man/man1/coreactor.1", encoding="utf-8") as file:
            manual = file.read()
        options = re.findall(r"--([a-z-]+)", help_text)
        self.assertIn("drain-timeout", options)
        for option in options:
            self.assertIn(r"\fB\-\-" + option.replace("-", r"\-") + r"\fR", manual)
        if shutil.which("man"):
            shown = run("man", "--warnings", "-l", f"{self.prefix}/share/man/man1/coreactor.1",
                        env={**os.environ, "MANPAGER": "cat", "LC_ALL": "C", "MANWIDTH": "80"})
            self.assertIn("--drain-timeout SECONDS", shown)

    def test_pkg_config(self):
        version = self.pkg_config("--modversion")
        self.assertEqual(["coreactor", *version],
                         run(f"{self.prefix}/bin/coreactor", "-V").split("\n")[0].split())
        # Where the prefix is, not where it was meant to be once.
        folders = {os.path.realpath(flag[2:]) for flag in self.pkg_config("--cflags", "--libs")
                   if flag.startswith(("-I", "-L"))}
        self.assertLessEqual({os.path.realpath(f"{self.prefix}/include"),
                              os.path.realpath(self.libraries)}, folders)

    def test_a_program_with_the_shared_library(self):
        self.assert_answers(self.compile(f"{ROOT}/examples/hello.c", static=False))

    def test_a_program_with_the_static_library(self):
        self.assert_answers(self.compile(f"{ROOT}/examples/hello.c", static=True))

    @unittest.skipUnless(os.path.exists(f"{ROOT}/README.md"), "no README")
    def test_the_program_of_the_readme(self):
        with open(f"{ROOT}/README.md", encoding="utf-8") as file:
            block = re.search(r"^```c\n(.*?)^```", file.read(), re.M | re.S)
        self.assertIsNotNone(block)
        with open(f"{self.scratch}/readme.c", "w", encoding="utf-8") as source:
            source.write(block[1])
        self.compile(f"{self.scratch}/readme.c", static=False)

    def exported_names(self):
        """What the list of exports says."""
        with open(f"{ROOT}/src/libcoreactor.map", encoding="ascii") as file:
            listed = file.read().split("global:")[1].split("local:")[0]
        return sorted(re.findall(r"\w+", listed))

    def test_the_shared_library_exports_what_is_listed(self):
        symbols = run("nm", "-D", "--defined-only", f"{self.libraries}/libcoreactor.so").split("\n")
        names = [line.split()[2] for line in symbols if re.search(r" [A-Z] ", line)]
        exported = sorted(name.split("@")[0] for name in names if not name.startswith("COREACTOR_"))
        self.assertEqual(exported, self.exported_names())

    def test_the_headers_declare_what_is_listed(self):
        declared = set()
        for name in os.listdir(f"{self.prefix}/include/coreactor"):
            with open(f"{self.prefix}/include/coreactor/{name}", encoding="utf-8") as file:
                text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
            declared |= set(re.findall(r"\b((?:coreactor|http|reactor|server)_\w+)\(", text))
        self.assertEqual(sorted(declared), self.exported_names())

    def test_the_shared_library_can_be_loaded_alone(self):
        library = ctypes.CDLL(f"{self.libraries}/libcoreactor.so")
        library.coreactor_version.restype = ctypes.c_char_p
        self.assertRegex(library.coreactor_version(), rb"\A\d+\.\d+\.\d+\Z")


if __name__ == "__main__":
    unittest.main()
