"""A TCP proxy with faults before a server on 127.0.0.1: what a slow or an absent database is to the service."""

import heapq
import itertools
import selectors
import socket
import threading
import time

PIECE = 1 << 16


class Gate:
    """`delay` seconds that each piece takes, both ways; `closed` nobody is let in, and what stands is cut."""

    def __init__(self, peer_port):
        self.delay, self._closed, self._stopping = 0.0, False, False
        self._peer = ("127.0.0.1", peer_port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = socket.socketpair()
        self._selector.register(self._listener, selectors.EVENT_READ, None)
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)
        self._pieces, self._number = [], itertools.count()  # by the moment they are due; then in their order
        self._thread = threading.Thread(target=self._run, daemon=True, name="gate")
        self._thread.start()

    def shut(self):
        self._closed = True
        self._wake_write.send(b".")

    def open(self):
        self._closed = False

    def close(self):
        self._stopping = True
        self._wake_write.send(b".")
        self._thread.join()

    def _run(self):
        while not self._stopping:
            left = max(0.0, self._pieces[0][0] - time.monotonic()) if self._pieces else 60
            for key, _ in self._selector.select(left):
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj is self._wake_read:
                    self._wake_read.recv(4096)
                elif key.data is not None and key.fileobj.fileno() >= 0:
                    self._take(key.fileobj, key.data)
            if self._closed:
                self._cut_all()
            self._pass_on()
        self._cut_all()
        for each in (self._listener, self._wake_read, self._wake_write):
            each.close()

    def _accept(self):
        client, _ = self._listener.accept()
        if self._closed:
            return client.close()
        try:
            server = socket.create_connection(self._peer, timeout=5)
        except OSError:
            return client.close()
        for each, other in ((client, server), (server, client)):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            each.settimeout(5)
            self._selector.register(each, selectors.EVENT_READ, other)
        return None

    def _take(self, source, target):
        try:
            data = source.recv(PIECE)
        except OSError:
            data = b""
        if not data:
            return self._cut(source, target)
        heapq.heappush(self._pieces, (time.monotonic() + self.delay, next(self._number), source, target, data))
        return None

    def _pass_on(self):
        while self._pieces and self._pieces[0][0] <= time.monotonic():
            _, _, source, target, data = heapq.heappop(self._pieces)
            if target.fileno() < 0:
                continue
            try:
                target.sendall(data)
            except OSError:
                self._cut(source, target)

    def _cut(self, *pair):
        for each in pair:
            if each.fileno() >= 0:
                self._selector.unregister(each)
                each.close()

    def _cut_all(self):
        self._cut(*[key.fileobj for key in list(self._selector.get_map().values()) if key.data is not None])
        self._pieces.clear()
