"""A second implementation of WebRTC, aiortc, for tests/web/media.rs: it looks on by WHEP, or is a server for WHIP.

    peer.py viewer https://127.0.0.1:PORT/whep TOKEN
    peer.py server PORT PEM TOKEN

It says what happens on standard output, a line of JSON each; `look` on standard input has it tell what it sees and hears
within a second from then on, `lose` has it drop the connection, `end` has it leave. All traffic stays on the loopback.
"""

import array
import asyncio
import contextlib
import http.server
import json
import ssl
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request

import aioice.ice
from aiortc import MediaStreamError, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]


def say(**what):
    print(json.dumps(what), flush=True)


class Eyes:
    """Sees and hears what a connection brings."""

    def __init__(self, connection):
        self.pictures, self.sound, self.tasks = [], [], []
        connection.on("track", lambda track: self.tasks.append(asyncio.ensure_future(self.take(track))))

    async def take(self, track):
        keep = self.pictures if track.kind == "video" else self.sound
        with contextlib.suppress(MediaStreamError):
            while True:
                keep.append(await track.recv())
                # Of the last seconds only.
                del keep[:-150]

    async def look(self):
        self.pictures.clear()
        self.sound.clear()
        for _ in range(300):
            await asyncio.sleep(0.1)
            if len(self.pictures) >= 12 and len(self.sound) >= 50:
                break
        else:
            return {"pictures": len(self.pictures), "sounds": len(self.sound)}
        return {**see(self.pictures), **hear(self.sound[-50:])}


def rows(frame, plane):
    data = memoryview(frame.planes[plane])
    stride, width, height = frame.planes[plane].line_size, frame.planes[plane].width, frame.planes[plane].height
    return [bytes(data[y * stride : y * stride + width]) for y in range(height)]


def see(pictures):
    first, last = pictures[0], pictures[-1]
    changed = sum(abs(a - b) > 24 for one, two in zip(rows(first, 0), rows(last, 0)) for a, b in zip(one, two))
    # The colour bars of the test pattern, in the lowest quarter: U and V in the middle of each, at the
    # very bottom, where the ball that sweeps over the picture hides one of them at most.
    bars = [[rows(last, plane)[-1][last.planes[plane].width * (2 * bar + 1) // 16] for plane in (1, 2)] for bar in range(8)]
    return {"pictures": len(pictures), "size": [last.width, last.height], "changed": changed, "bars": bars}


def hear(sound):
    samples = array.array("h")
    for frame in sound:
        channels = len(frame.layout.channels)
        samples.extend(memoryview(frame.planes[0])[: frame.samples * channels * 2].cast("h")[::channels])
    crossings = sum(one < 0 <= two for one, two in zip(samples, samples[1:]))
    return {"hertz": crossings * sound[0].sample_rate / len(samples), "peak": max(samples)}


def connection():
    return RTCPeerConnection(RTCConfiguration(iceServers=[]))


async def commands(peer, end):
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while (line := await reader.readline()) and line != b"end\n":
        if line == b"lose\n":
            await peer.connection.close()
        else:
            say(look=await peer.eyes.look())
    await end()


class Viewer:
    def __init__(self, url, token):
        self.url, self.token, self.session = url, token, None
        self.connection = connection()
        self.eyes = Eyes(self.connection)

    def ask(self, method, url, body=None):
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/sdp"}
        request = urllib.request.Request(url, body, headers, method=method)
        # The station's certificate is its own.
        return urllib.request.urlopen(request, context=ssl._create_unverified_context(), timeout=30)

    async def run(self):
        self.connection.addTransceiver("video", direction="recvonly")
        self.connection.addTransceiver("audio", direction="recvonly")
        await self.connection.setLocalDescription(await self.connection.createOffer())
        try:
            answer = self.ask("POST", self.url, self.connection.localDescription.sdp.encode())
        except urllib.error.HTTPError as error:
            return say(status=error.code)
        self.session = urllib.parse.urljoin(self.url, answer.headers["Location"])
        sdp = answer.read().decode()
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
        say(status=answer.status, kind=answer.headers["Content-Type"], session=self.session)
        await commands(self, self.end)

    async def end(self):
        say(deleted=self.ask("DELETE", self.session).status)
        await self.connection.close()


class Server:
    """Takes one publisher at a time, at the place to which it sends those who knock first."""

    def __init__(self, port, pem, token):
        self.token, self.eyes, self.connection, self.begun = token, None, None, 0
        self.loop = asyncio.get_running_loop()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def say(self, status, body=b"", **headers):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def is_known(self):
                return self.headers["Authorization"] == f"Bearer {outer.token}"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = None
                if self.is_known() and self.path != "/whip":
                    answer = asyncio.run_coroutine_threadsafe(outer.begin(body.decode()), outer.loop).result(30)
                # Only now, so that who reads it can have the new connection looked at.
                say(method="POST", path=self.path, is_known=self.is_known(), kind=self.headers["Content-Type"])
                if not self.is_known():
                    return self.say(401)
                if answer is None:
                    return self.say(307, Location="/studio/whip")
                self.say(201, answer.encode(), Content_Type="application/sdp", Location=f"session-{outer.begun}")

            def do_DELETE(self):
                say(method="DELETE", path=self.path, is_known=self.is_known())
                self.say(200)

            def log_message(self, *_):
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()

    async def begin(self, offer):
        if self.connection:
            await self.connection.close()
        self.begun += 1
        self.connection = connection()
        self.eyes = Eyes(self.connection)
        await self.connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await self.connection.setLocalDescription(await self.connection.createAnswer())
        return self.connection.localDescription.sdp

    async def run(self):
        say(ready=True)
        await commands(self, self.end)

    async def end(self):
        if self.connection:
            await self.connection.close()


async def main():
    role, *arguments = sys.argv[1:]
    if role == "viewer":
        await Viewer(*arguments).run()
    else:
        await Server(int(arguments[0]), *arguments[1:]).run()


asyncio.run(main())
