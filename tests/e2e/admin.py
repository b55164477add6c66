"""What the tests of the operator's pages share: servers that have them, and what those say."""

import tempfile

from client import Client
from exposition import Scrape
from harness import ServerTest, wait_until

# However many threads: no message about what the machine allows.
ADMIN = ("--balance", "handoff", "--admin", "127.0.0.1:0")


class AdminTest(ServerTest):
    def admin(self, server, **options):
        client = Client(server.admin_address, **options)
        self.addCleanup(client.close)
        return client

    def ask(self, server, target, *fields, **options):
        with Client(server.admin_address) as client:
            return client.get(target, *fields, **options)

    def scrape(self, server):
        response = self.ask(server, "/metrics")
        self.assertEqual(response.status, 200)
        return Scrape(response.body.decode())

    def wait_for_scrape(self, server, condition, what):
        """The first scrape of which condition() is true: a client may be faster than what counts it."""
        def look():
            scrape = self.scrape(server)
            return scrape if condition(scrape) else None
        return wait_until(look, what)

    def wait_for_states(self, server, **states):
        return self.wait_for_scrape(
            server, lambda scrape: scrape.by("state", "coreactor_connections") == states, f"states are {states}")

    def folder(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return folder.name
