"""Drives a headless Chromium through chromedriver: the W3C's WebDriver protocol, with Chromium's own
additions for its developer tools (goog/cdp/execute) and logs (se/log).

It keeps to itself: a profile in a folder of its own, no address but 127.0.0.1 is ever found, and nothing outlives
close(). The browser is told over a pipe, so that it ends as well when chromedriver is killed."""

import base64
import contextlib
import ctypes
import http.client
import json
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time

from client import PATIENCE_S
from harness import in_child, wait_until

CHROMIUM = shutil.which("chromium")
CHROMEDRIVER = shutil.which("chromedriver")
STARTED = re.compile(r"started successfully on port (\d+)")
PR_SET_CHILD_SUBREAPER = 36
SWITCHES = [
    # There is no sandbox for root, nor in many containers; only pages of the tests are opened here.
    "--headless=new", "--no-sandbox", "--remote-debugging-pipe", "--disable-gpu", "--disable-dev-shm-usage",
    "--window-size=1100,800", "--hide-scrollbars", "--force-color-profile=srgb", "--lang=en-US",
    "--mute-audio", "--autoplay-policy=no-user-gesture-required",
    # Nobody else is to be talked to.
    "--no-proxy-server", "--host-resolver-rules=MAP * ^NOTFOUND, EXCLUDE 127.0.0.1",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-domain-reliability",
    "--disable-client-side-phishing-detection", "--disable-default-apps", "--disable-extensions",
    "--no-first-run", "--no-default-browser-check", "--no-pings", "--metrics-recording-only",
    "--disable-breakpad", "--disable-crash-reporter", "--password-store=basic",
    "--disable-features=OptimizationHints,MediaRouter,Translate,DialMediaRouteProvider,"
    "CertificateTransparencyComponentUpdater,InterestFeedContentSuggestions,AutofillServerCommunication",
]
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # WebDriver section 12.3


class WebDriverError(Exception):
    pass


def is_here():
    return bool(CHROMIUM and CHROMEDRIVER)


def _processes():
    """(parent, start time) of each process."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat", encoding="utf-8",
                                                errors="replace") as file:
            fields = file.read().rsplit(")", 1)[1].split()
            if fields[0] not in "ZX":
                found[int(name)] = int(fields[1]), fields[19]
    return found


def _family(*pids):
    """The processes and all that descend from them, with their start times."""
    processes = _processes()
    family = {pid: processes[pid][1] for pid in pids if pid in processes}
    grown = True
    while grown:
        grown = False
        for child, (parent, started) in processes.items():
            if parent in family and child not in family:
                family[child] = started
                grown = True
    return family


class Browser:
    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="coreactor-browser-", ignore_cleanup_errors=True)
        self.session = None
        # Whoever of the browser's processes loses its parent comes to this one.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.others = _family(os.getpid())
        self.family = {}
        self._start_driver()
        try:
            self.port = self._find_port()
            self._open_session()
        except BaseException:
            self._find_family()
            self.close()
            raise
        self._find_family()

    def _find_family(self):
        """Those that have been started by now, orphans too."""
        self.family = {pid: started for pid, started in _family(os.getpid()).items()
                       if pid not in self.others}

    def _environment(self):
        """No settings, caches or proxies of the user."""
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "LC_ALL")}
        return {**kept, "HOME": self.folder.name, "TMPDIR": self.folder.name}

    def _start_driver(self):
        with open(self.folder.name + "/chromedriver.log", "ab") as log:
            self.process = subprocess.Popen(
                [CHROMEDRIVER, "--port=0"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                cwd=self.folder.name, env=self._environment(), preexec_fn=in_child(None))

    def _find_port(self):
        """It takes a free port of IPv6 and wants the same of IPv4, which may be another program's."""
        for _ in range(10):
            try:
                return self._read_port()
            except WebDriverError as error:
                if "port not available" not in str(error):
                    raise
            self.process.wait()
            self.process.stdout.close()
            self._start_driver()
        return self._read_port()

    def _read_port(self):
        said = ""
        deadline = time.monotonic() + PATIENCE_S
        while not (match := STARTED.search(said)):
            left_s = max(0, deadline - time.monotonic())
            if not select.select([self.process.stdout], [], [], left_s)[0]:
                raise WebDriverError(f"chromedriver has not started: {said!r}")
            if not (piece := os.read(self.process.stdout.fileno(), 4096)):
                raise WebDriverError(f"chromedriver has ended: {said!r}")
            said += piece.decode()
        return int(match[1])

    def _open_session(self):
        switches = SWITCHES + [f"--user-data-dir={self.folder.name}/profile"]
        answer = self._call("POST", "/session", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"binary": CHROMIUM, "args": switches},
            "goog:loggingPrefs": {"performance": "ALL", "browser": "ALL"},
            "timeouts": {"script": PATIENCE_S * 1000, "pageLoad": PATIENCE_S * 1000},
        }}})
        self.session = "/session/" + answer["sessionId"]
        self.version = answer["capabilities"]["browserVersion"]

    def _call(self, method, path, parameters=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2 * PATIENCE_S)
        try:
            body = None if parameters is None else json.dumps(parameters)
            connection.request(method, path, body, {"Content-Type": "application/json"})
            value = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        if isinstance(value, dict) and "error" in value:
            raise WebDriverError(f"{path}: {value['error']}: {value['message']}")
        return value

    def call(self, method, path, **parameters):
        return self._call(method, self.session + path, parameters if method == "POST" else None)

    def close(self):
        """Quits the browser; whatever of it is left then is killed."""
        self.family.update(_family(*self._survivors()))
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError, WebDriverError):
            if self.session:
                self._call("DELETE", self.session)
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        for pid in self._survivors():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not self._survivors(), "the browser is gone")
        for pid in self.family:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        self.folder.cleanup()

    def _survivors(self):
        now = _processes()
        return [pid for pid, started in self.family.items() if pid in now and now[pid][1] == started]

    # --- pages ---

    def go(self, url):
        self.call("POST", "/url", url=url)

    def reload(self):
        self.call("POST", "/refresh")

    @property
    def url(self):
        return self.call("GET", "/url")

    @property
    def title(self):
        return self.call("GET", "/title")

    def run(self, script, *arguments):
        """What the body of a function returns in the page."""
        return self.call("POST", "/execute/sync", script=script, args=arguments)

    def run_async(self, script, *arguments):
        """What the body of an async function returns in the page; raises what it throws."""
        wrapped = ("const done = arguments[arguments.length - 1];"
                   "(async (...args) => {" + script + "})(...Array.from(arguments).slice(0, -1))"
                   ".then((value) => done({value}), (error) => done({error: String(error)}));")
        answer = self.call("POST", "/execute/async", script=wrapped, args=arguments)
        if "error" in answer:
            raise WebDriverError(answer["error"])
        return answer.get("value")

    def wait_for(self, expression):
        wait_until(lambda: self.run(f"return Boolean({expression})"), expression)

    def find(self, css):
        return [element[ELEMENT] for element in
                self.call("POST", "/elements", using="css selector", value=css)]

    def click(self, element):
        """As a user does: it has to be visible, and not covered."""
        self.call("POST", f"/element/{element}/click")

    def developer(self, command, **parameters):
        """A command of the Chrome DevTools Protocol."""
        return self.call("POST", "/goog/cdp/execute", cmd=command, params=parameters)

    def set_color_scheme(self, scheme):
        self.developer("Emulation.setEmulatedMedia",
                       features=[{"name": "prefers-color-scheme", "value": scheme}])

    def set_width(self, width, height=800):
        self.developer("Emulation.setDeviceMetricsOverride", width=width, height=height,
                       deviceScaleFactor=1, mobile=False)

    def screenshot(self, path):
        data = base64.b64decode(self.call("GET", "/screenshot"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
        return data

    # --- what has happened ---

    def console(self):
        """What has been logged since the last call: errors of the network and of scripts too."""
        return [entry["message"] for entry in self.call("POST", "/se/log", type="browser")
                if entry["level"] in ("WARNING", "SEVERE")]

    def network(self):
        """Events of the network since the last call, as (method, parameters)."""
        messages = [json.loads(entry["message"])["message"]
                    for entry in self.call("POST", "/se/log", type="performance")]
        return [(message["method"].removeprefix("Network."), message["params"])
                for message in messages if message["method"].startswith("Network.")]

    def responses(self):
        """The answers over HTTP since the last call, those of its cache included."""
        return [Answer(parameters) for method, parameters in self.network()
                if method == "responseReceived" and parameters["response"]["url"].startswith("http:")]


class Answer:
    """A response as the browser has seen it."""

    def __init__(self, parameters):
        response = parameters["response"]
        self.kind = parameters["type"]
        self.url = response["url"]
        self.path = "/" + self.url.split("/", 3)[-1]
        self.status = response["status"]
        self.protocol = response["protocol"]
        self.mime_type = response["mimeType"]
        self.from_cache = response.get("fromDiskCache", False)
        self.fields = {name.lower(): value for name, value in response["headers"].items()}

    def __getitem__(self, name):
        return self.fields.get(name.lower())

    def __repr__(self):
        return f"{self.status} {self.path} {self.fields}"
