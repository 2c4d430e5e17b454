"""Sends a body of some MiB in the ways of Python's clients, and prints a line each: the way and the status.

client.py URL TOKEN MIB
"""
import http.client
import sys
import urllib.error
import urllib.parse
import urllib.request

url, token, mib = sys.argv[1], sys.argv[2], int(sys.argv[3])
address = urllib.parse.urlsplit(url)
headers = {"Authorization": "Bearer " + token, "Content-Type": "application/json"}
body = b" " * (mib << 20)


def parts():
    for _ in range(mib * 16):
        yield b" " * (64 << 10)


def report(way, do):
    try:
        print(way, do(), flush=True)
    except Exception as e:  # whatever the client makes of it
        print(way, type(e).__name__, flush=True)


def plain(headers, body, **more):
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
    connection.request("POST", address.path, body, headers, **more)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


def again():
    """Two requests by one client, which connects again as it must."""
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
    for _ in range(2):
        connection.request("POST", address.path, body, headers)
        answer = connection.getresponse()
        answer.read()
    connection.close()
    return answer.status


def library():
    try:
        return urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30).status
    except urllib.error.HTTPError as e:
        return e.code


report("http.client", lambda: plain(headers, body))
report("http.client-chunked", lambda: plain(headers, parts(), encode_chunked=True))
report("http.client-expect", lambda: plain(headers | {"Expect": "100-continue"}, body))
report("http.client-twice", again)
report("urllib", library)
try:
    import requests
except ImportError:
    sys.exit()
with requests.Session() as session:
    report("requests", lambda: session.post(url, data=body, headers=headers, timeout=30).status_code)
    report("requests-chunked", lambda: session.post(url, data=parts(), headers=headers, timeout=30).status_code)
