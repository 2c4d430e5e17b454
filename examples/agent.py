#!/usr/bin/env python3
"""A small Watchbill agent: WATCHBILL_TOKEN=wba_… agent.py SERVER ID COMMAND

It runs COMMAND (by sh -c) for each deployment, with the deployment as JSON on standard input, and
reports the outcome. docs/writing-an-agent.md explains it.
"""
import json, os, signal, subprocess, sys, time, urllib.error, urllib.request, uuid

server, agent, command = sys.argv[1:]


def call(path, body=None):
    headers = {"Authorization": "Bearer " + os.environ["WATCHBILL_TOKEN"], "Content-Type": "application/json"}
    request = urllib.request.Request(server + path, json.dumps(body).encode() if body else None, headers)
    with urllib.request.urlopen(request, timeout=75) as response:  # longer than any poll is held
        return json.load(response)


def run(deployment):
    path = f"/api/deployments/{deployment['id']}/status"
    report = {"attempt": deployment["attempt"], "claim": uuid.uuid4().hex}
    call(path, report | {"status": "running"})  # claims it; 409: another run has it
    process = subprocess.Popen(command, shell=True, stdin=-1, stdout=-1, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        stdin = json.dumps(deployment).encode()
        while True:
            try:
                output, _ = process.communicate(stdin, timeout=deployment["lease_seconds"] / 3)
                break
            except subprocess.TimeoutExpired:
                stdin = None  # it is sent once
                call(path, report | {"status": "running"})  # renews the lease; 409: the attempt was lost
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    status = "failed" if process.returncode else "succeeded"
    text = output.decode(errors="replace").replace("\0", "")[-10_000:]
    call(path, report | {"status": status, "output": text})


while True:
    try:
        asked = time.monotonic()
        work = call(f"/api/deployments/pending/{agent}?wait=30s")
        for deployment in work["deployments"]:
            run(deployment)
        pause = asked + work["poll_interval_seconds"] - time.monotonic() if not work["deployments"] else 0
    except OSError as error:  # urllib's errors are OSErrors
        print(error, file=sys.stderr, flush=True)
        headers = error.headers if isinstance(error, urllib.error.HTTPError) else {}
        pause = float(headers.get("Retry-After") or headers.get("Watchbill-Poll-Interval") or 10)
    time.sleep(max(0, pause))
