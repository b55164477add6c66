#!/usr/bin/env python3
"""What every model of bench/models does when it asks the service: a service in the test's hands."""

import unittest

from client import request
from harness import wait_until
from models import POOL, ModelTest, Service, for_each_model

MANY = 20


class Waits:
    NOT_ASKED = {}

    def setUp(self):
        super().setUp()
        self.service = Service()
        self.addCleanup(self.service.finish)

    def start_asking(self, *options):
        return self.start(self.service.port.number, *options)

    def asked(self, model, count):
        """So many clients, each of which waits for the service."""
        clients = [self.connect(model) for _ in range(count)]
        for client in clients:
            client.send(request("GET", "/wait", "Connection: close"))
        return clients

    def wait_for_questions(self, count):
        wait_until(lambda: len(self.service.held) == count, f"the service is asked {count} questions")

    def assert_waited(self, client):
        response = client.read()
        self.assertEqual((response.status, response.body), (200, b"waited\n"))
        client.expect_end()

    def assert_recovers(self, model):
        """The first may still find connections to the service that are none any more."""
        def waits():
            with model.client() as client:
                return client.get("/wait", "Connection: close").status == 200
        wait_until(waits, "it finds the service again")

    def assert_holds_nothing(self, model, sockets):
        """All that is open is what was, when it had just started, and its connections to the service: a worker
        of a pool sees that the service has hung up when it asks again."""
        wait_until(lambda: model.sockets() <= sockets + max(len(self.service.connections), self.traits.at_once),
                   "no connection is left open")

    def test_many_wait_at_the_same_time(self):
        model = self.start_asking()
        self.service.hold()
        clients = self.asked(model, MANY)
        at_once = min(MANY, self.traits.at_once or MANY)
        self.wait_for_questions(at_once)
        if not self.traits.at_once:
            self.assert_serves(model)
        self.service.let_go()
        for client in clients:
            self.assert_waited(client)
        self.assertEqual(self.service.most, at_once)

    def test_questions_wait_for_a_connection_to_the_service(self):
        if not self.traits.links:
            self.skipTest("it has as many connections to the service as requests that ask")
        model = self.start_asking("--threads", "1", "--pool", "2")
        self.service.hold()
        clients = self.asked(model, MANY)
        self.wait_for_questions(2)
        self.assert_serves(model)
        self.service.let_go()
        for client in clients:
            self.assert_waited(client)
        self.assertEqual(self.service.most, 2)
        self.assertLessEqual(len(self.service.connections), 2)

    def test_clients_that_leave_while_they_wait(self):
        model = self.start_asking()
        sockets = self.sockets(model)
        for _ in range(2):
            self.service.hold()
            clients = self.asked(model, POOL)
            self.wait_for_questions(POOL)
            for number, client in enumerate(clients):
                if number % 2:
                    client.close()
                else:
                    client.reset()
            self.service.let_go()
            with model.client() as client:
                client.send(request("GET", "/wait", "Connection: close"))
                self.assert_waited(client)
        self.assert_holds_nothing(model, sockets)

    def test_clients_that_leave_with_requests_behind_the_one_that_waits(self):
        model = self.start_asking()
        sockets = self.sockets(model)
        self.service.hold()
        clients = [self.connect(model) for _ in range(POOL)]
        for client in clients:
            client.send(request("GET", "/wait") * 3 + request("GET", "/fast")[:20])
        self.wait_for_questions(POOL)
        for client in clients:
            client.reset()
        self.service.let_go()
        self.assert_recovers(model)
        self.assert_holds_nothing(model, sockets)

    def test_client_that_has_closed_its_side_while_it_waits(self):
        model = self.start_asking()
        self.service.hold()
        with model.client() as client:
            client.send(request("GET", "/wait"))
            self.wait_for_questions(1)
            client.half_close()
            self.assertTrue(client.hears_nothing(0.1))
            self.service.let_go()
            self.assert_waited(client)

    def test_service_that_is_absent(self):
        model = self.start_asking()
        sockets = self.sockets(model)
        for _ in range(2):
            self.service.stop()
            with model.client() as client:
                self.assertEqual(client.get("/wait", "Connection: close").status, 502)
            self.assert_serves(model)
            self.service.start()
            self.assert_recovers(model)
        self.assert_holds_nothing(model, sockets)

    def test_service_that_hangs_up_on_questions(self):
        model = self.start_asking()
        sockets = self.sockets(model)
        self.service.hold()
        clients = self.asked(model, MANY)
        self.wait_for_questions(min(MANY, self.traits.at_once or MANY))
        self.service.stop()
        for client in clients:
            response = client.read()
            self.assertEqual(response.status, 502)
            client.expect_end()
            client.close()
        self.service.holding = False
        self.service.start()
        self.assert_recovers(model)
        self.assert_holds_nothing(model, sockets)


globals().update(for_each_model(Waits, ModelTest))

if __name__ == "__main__":
    unittest.main()
