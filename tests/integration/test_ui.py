"""`interp ui`: the page that it names, the browser that it opens, and how it ends."""

import os
import pty
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from interp.cli.commands.ui import has_display
from interp.tracking import Store, Sweep, find_newest_page

ROOT = Path(__file__).parents[2]


def log(store, experiment, name):
    return store.client.create_run(store.experiment_id(experiment), run_name=name).info.run_id


def test_the_last_sweep_is_named_or_else_the_last_run(tmp_path):
    store = Store.of(str(tmp_path), None, 5001)
    assert find_newest_page(store) == "http://127.0.0.1:5001"
    log(store, "one", "first")
    run = log(store, "two", "second")
    at = store.experiment_id("two")
    assert find_newest_page(store) == f"http://127.0.0.1:5001/#/experiments/{at}/runs/{run}"
    Sweep.begin(store, "one", ["seed=0,1"], "f", rerun=False)
    last = Sweep.begin(store, "two", ["seed=0,1"], "f", rerun=False)
    log(store, "one", "third")
    assert find_newest_page(store) == last.url()
    assert last.run_id in last.url()


@contextmanager
def ui(outputs, **environment):
    """Run `interp ui` in a terminal of its own; yields its process and the port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ours, theirs = pty.openpty()
    kept = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "SSH_CONNECTION")}
    server = subprocess.Popen(
        [sys.executable, "-m", "interp", "ui", f"outputs={outputs}", f"tracking.port={port}"],
        cwd=ROOT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={**kept, **environment},
    )
    os.close(theirs)
    try:
        yield server, port, ours
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait(timeout=30)
        os.close(ours)


def until(condition):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


def alive(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_browser_opens_the_page_once_the_server_answers_and_ctrl_c_ends_all(tmp_path):
    store = Store.of(str(tmp_path), None, 5000)
    sweep = Sweep.begin(store, "asked", ["seed=0,1"], "f", rerun=False)
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    get = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1]).status, sys.argv[1])"
    browser.write_text(f'#!/bin/sh\n{sys.executable} -c "{get}" "$1" >{opened}.part\n')
    with browser.open("a") as script:
        script.write(f"mv {opened}.part {opened}\n")
    browser.chmod(0o755)
    with ui(tmp_path, DISPLAY=":9", BROWSER=f"{browser} %s") as (server, port, terminal):
        until(opened.exists)
        status, address = opened.read_text().split()
        assert status == "200"
        assert address.startswith(f"http://127.0.0.1:{port}/#/experiments/")
        assert sweep.run_id in address
        said = os.read(terminal, 10_000).decode()
        assert address in said.split()
        # What Ctrl-C sends.
        os.killpg(server.pid, signal.SIGINT)
        server.wait(timeout=30)
        until(lambda: not alive(server.pid))


@pytest.mark.parametrize(
    ("environment", "is_terminal", "expected"),
    [
        ({"DISPLAY": ":0"}, True, True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, True, True),
        ({}, True, False),
        ({"DISPLAY": ":0"}, False, False),
        ({"DISPLAY": ":0", "SSH_CONNECTION": "1.2.3.4 5 6.7.8.9 22"}, True, False),
    ],
)
def test_a_browser_opens_before_a_terminal_with_a_display(
    monkeypatch, environment, is_terminal, expected
):
    monkeypatch.setattr(os, "environ", environment)
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(isatty=lambda: is_terminal))
    monkeypatch.setattr(sys, "platform", "linux")
    assert has_display() is expected
