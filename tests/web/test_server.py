import http.client
import os
import socket
import struct
import threading
import urllib.error
import urllib.request

import pytest

from worldtokens.web.server import HEADERS, address, can_open_browser, make_server


@pytest.fixture
def served(tmp_path):
    (tmp_path / "index.html").write_text("page")
    (tmp_path / "app.mjs").write_text("1")
    (tmp_path / "step.onnx.gz").write_bytes(b"\x1f\x8b")
    server = make_server(tmp_path, 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_files_are_served_as_browsers_want_them(served):
    types = {"": "text/html; charset=utf-8", "app.mjs": "text/javascript"}
    for name, kind in {**types, "step.onnx.gz": "application/gzip"}.items():
        with urllib.request.urlopen(address(served) + name) as answer:
            assert answer.headers["Content-Type"] == kind
            # Browsers must not unpack by themselves what the page unpacks.
            assert answer.headers["Content-Encoding"] is None
            assert {key: answer.headers[key] for key in HEADERS} == HEADERS


def test_a_file_that_changed_within_the_same_second_is_served_anew(served, tmp_path):
    path, url = tmp_path / "step.onnx.gz", address(served) + "step.onnx.gz"
    os.utime(path, ns=(10**18, 10**18))
    with urllib.request.urlopen(url) as answer:
        tag, date = answer.headers["ETag"], answer.headers["Last-Modified"]
    conditions = {"If-None-Match": tag, "If-Modified-Since": date}
    request = urllib.request.Request(url, headers=conditions)
    with pytest.raises(urllib.error.HTTPError, match="304"):
        urllib.request.urlopen(request)
    path.write_bytes(b"\x1f\x8c")
    os.utime(path, ns=(10**18 + 1, 10**18 + 1))
    with urllib.request.urlopen(request) as answer:
        assert answer.read() == b"\x1f\x8c" and answer.headers["ETag"] != tag


def test_a_time_of_whole_seconds_alone_is_not_believed(served, tmp_path):
    # What Chromium sends for files that it got by HTTP/1.0.
    url = address(served) + "step.onnx.gz"
    with urllib.request.urlopen(url) as answer:
        date = answer.headers["Last-Modified"]
    connection = http.client.HTTPConnection(*served.server_address[:2])
    connection.request("GET", "/step.onnx.gz", headers={"If-Modified-Since": date})
    answer = connection.getresponse()
    assert (answer.status, answer.version, answer.read()) == (200, 11, b"\x1f\x8b")
    # The connection stays open for the next file.
    connection.request("GET", "/app.mjs")
    assert connection.getresponse().read() == b"1"
    connection.close()


def test_a_browser_that_leaves_prints_nothing(served, tmp_path, capfd):
    (tmp_path / "large.onnx.gz").write_bytes(bytes(20_000_000))
    left = threading.Event()
    shutdown_request = served.shutdown_request
    served.shutdown_request = lambda request: (shutdown_request(request), left.set())
    connection = socket.create_connection(served.server_address[:2])
    connection.sendall(b"GET /large.onnx.gz HTTP/1.1\r\nHost: here\r\n\r\n")
    assert connection.recv(4) == b"HTTP"
    # Closed with a reset, as browsers do.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    assert left.wait(60)
    assert capfd.readouterr().err == ""


def test_errors_of_our_own_are_printed(served, capfd):
    try:
        raise RuntimeError("trouble")
    except RuntimeError:
        served.handle_error(None, ("127.0.0.1", 1))
    assert "RuntimeError: trouble" in capfd.readouterr().err


def test_only_this_machine_is_served(served):
    assert address(served).startswith("http://127.0.0.1:")


def test_a_taken_port_is_told(served, tmp_path):
    port = served.server_address[1]
    with pytest.raises(ValueError, match=f"port: expected a free one, got {port} .*port=0"):
        make_server(tmp_path, port)


def test_a_browser_opens_where_there_is_a_display(monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("SSH_CONNECTION", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert not can_open_browser()
    monkeypatch.setenv("DISPLAY", ":0")
    assert can_open_browser()
    monkeypatch.setenv("SSH_CONNECTION", "1.2.3.4")
    assert not can_open_browser()
