"""A LAN video chat as a tutorial teaches it: pickle the raw frame, zlib at its best level, length first, over TCP.

tutorial.py send PORT BYTES    frames of BYTES bytes on stdin go to PORT
tutorial.py show PORT          what arrives on PORT goes to stdout

Only what the network part of such a program costs: no camera library, no window.
"""

import pickle
import signal
import socket
import struct
import sys
import zlib

LENGTH = struct.Struct("L")


def send(port, frame_bytes):
    link = socket.create_connection(("127.0.0.1", port))
    while frame := sys.stdin.buffer.read(frame_bytes):
        packed = zlib.compress(pickle.dumps(frame), zlib.Z_BEST_COMPRESSION)
        link.sendall(LENGTH.pack(len(packed)) + packed)


def show(port):
    server = socket.create_server(("127.0.0.1", port))
    link, _ = server.accept()
    waiting = b""

    def take(count):
        nonlocal waiting
        while len(waiting) < count:
            got = link.recv(81920)
            if not got:
                sys.exit(0)
            waiting += got
        taken, waiting = waiting[:count], waiting[count:]
        return taken

    while True:
        (length,) = LENGTH.unpack(take(LENGTH.size))
        frame = pickle.loads(zlib.decompress(take(length)))
        sys.stdout.buffer.write(frame)
        sys.stdout.buffer.flush()


signal.signal(signal.SIGINT, signal.SIG_DFL)
if sys.argv[1] == "send":
    send(int(sys.argv[2]), int(sys.argv[3]))
else:
    show(int(sys.argv[2]))
