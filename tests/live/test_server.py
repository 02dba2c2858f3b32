"""The local server: what it serves, and what it refuses in one line."""

import http.client
import json
import socket
import sys
import threading
import time

import pytest

from maml_numpy.cli import live, main
from maml_numpy.live import server as live_server

POINTS = [[-3, 1.2], [-1, 3.9], [0.5, 0.4]]


@pytest.fixture(scope="module")
def server():
    with live_server.Server() as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield found
        found.shutdown()


def request(server, method, path, body=None, token=True, **headers):
    connection = http.client.HTTPConnection(live_server.HOST, server.server_address[1], timeout=20)
    connection.request(method, f"{path}?token={server.token}" if token else path, body, headers)
    reply = connection.getresponse()
    return reply.status, reply.read(), reply.headers


def error_of(found):
    return json.loads(found[1])["error"]


def test_every_file_of_the_page_is_served_with_its_kind_and_a_policy(server):
    names = ["", *(path.name for path in live_server.PAGE.iterdir())]
    for name in names:
        status, body, headers = request(server, "GET", f"/{name}")
        assert status == 200 and body and "default-src 'none'" in headers["Content-Security-Policy"]
    assert request(server, "GET", "/app.js")[2]["Content-Type"].startswith("text/javascript")


def test_the_trace_is_a_page_of_its_own(server):
    status, body, headers = request(server, "GET", "/trace.html")
    assert status == 200 and b"One meta-gradient" in body and "default-src 'none'" in headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/../server.py", "/..%2fserver.py", "/nothing.js", "/page", "//etc/passwd"])
def test_nothing_else_is_served(server, path):
    found = request(server, "GET", path)
    assert found[0] == 404 and error_of(found)


def test_a_section_is_answered(server):
    status, body, _ = request(server, "POST", "/adapt", json.dumps({"points": POINTS, "K": 2}))
    assert status == 200 and len(json.loads(body)["curves"]) == 3


def test_answers_do_not_wait_for_each_other_on_one_connection(server):
    connection = http.client.HTTPConnection(live_server.HOST, server.server_address[1], timeout=20)
    body, times = json.dumps({"points": POINTS, "K": 1}), []
    for _ in range(15):
        begun = time.perf_counter()
        connection.request("POST", f"/adapt?token={server.token}", body)
        connection.getresponse().read()
        times.append(time.perf_counter() - begun)
    assert sorted(times)[7] < 0.035  # two writes would wait 0.04 s for each other


@pytest.mark.parametrize("headers", [{"Host": "example.org"}, {"Origin": "http://example.org"}, {"Origin": "null"},
                                     {"Sec-Fetch-Site": "cross-site"}, {"Host": "localhost:1"}])
def test_another_host_or_origin_is_refused(server, headers):
    for method, path in (("GET", "/"), ("POST", "/adapt")):
        found = request(server, method, path, "{}" if method == "POST" else None, **headers)
        assert found[0] == 403 and "only the page of this server" in error_of(found)


@pytest.mark.parametrize("path", ["/check", "/check?token=", "/check?token=wrong", "/check?token=%C3%A4"])
def test_without_the_token_nothing_is_computed(server, path):
    found = request(server, "POST", path, "{}", token=False)
    assert found[0] == 403 and "earlier start" in error_of(found)


def test_a_body_of_100_mb_is_refused_before_it_is_read(server):
    with socket.create_connection(server.server_address, timeout=10) as client:
        host = f"127.0.0.1:{server.server_address[1]}"
        client.sendall(f"POST /adapt?token={server.token} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {10**8}\r\n\r\n"
                       .encode())
        assert b"413" in client.recv(100)
    assert request(server, "POST", "/adapt", json.dumps({"points": POINTS}))[0] == 200


@pytest.mark.parametrize("length", ["-1", "x", "1e3", ""])
def test_a_length_that_is_none_is_refused(server, length):
    with socket.create_connection(server.server_address, timeout=10) as client:
        host = f"127.0.0.1:{server.server_address[1]}"
        client.sendall(f"POST /adapt?token={server.token} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n"
                       .encode())
        assert b"413" in client.recv(100)


@pytest.mark.parametrize("body", ["", "{", "[" * 100_000, "\xff", '{"points": NaN}', "null", "[]"])
def test_a_body_of_anything_is_one_line(server, body):
    found = request(server, "POST", "/adapt", body.encode("latin-1"))
    assert found[0] == 400 and "\n" not in error_of(found)


def test_a_body_that_does_not_arrive_is_given_up(server, monkeypatch):
    monkeypatch.setattr(live_server.Handler, "timeout", 0.3)
    with socket.create_connection(server.server_address, timeout=10) as client:
        host = f"127.0.0.1:{server.server_address[1]}"
        client.sendall(f"POST /adapt?token={server.token} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 50\r\n\r\n{{"
                       .encode())
        assert b"400" in client.recv(100)


def test_a_port_that_is_taken_is_one_line(server, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["maml-numpy"])
    assert main.main(["live", "--no-browser", "--port", str(server.server_address[1])]) == 1
    said = capsys.readouterr().err
    assert "choose another --port" in said and said.count("\n") == 1
    assert live.main(["--port", "70000"]) == 1
