"""A TAK server over TCP with faults: it reads events, counts them, and answers the pings behind them as TAK Server does.

It is written for volume and for its faults, not as a judge of events: the tests before real TAK servers are that.
"""

import datetime
import selectors
import socket
import struct
import threading
import time

PING = b't-x-c-t"'
END = b"</event>"


def _pong():
    now = datetime.datetime.now(datetime.timezone.utc)
    begin, stale = (moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ") for moment in (now, now + datetime.timedelta(seconds=20)))
    return (f'<event version="2.0" uid="takPong" type="t-x-c-t-r" how="h-g-i-g-o" time="{begin}" start="{begin}" stale="{stale}">'
            '<point lat="0.0" lon="0.0" hae="0.0" ce="9999999.0" le="9999999.0"/></event>').encode("ascii")


class TakServer:
    """Faults, each set at any time: `away` nobody listens and what stands is reset; `pong_delay` seconds until a ping is answered;
    `resets` a connection is reset as soon as it brought an event."""

    def __init__(self):
        self.pong_delay, self.resets = 0.0, False
        self.events = self.pings = self.connections = 0
        self._wake_read, self._wake_write = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake_read, selectors.EVENT_READ, "wake")
        # The port is kept while nobody listens on it: bound, and refused as long as it does not listen.
        self._listener = None
        self._orders, self._lock = [], threading.Lock()
        self._due = []  # (when, connection)
        self._bind(0)
        self._thread = threading.Thread(target=self._run, daemon=True, name="tak-server")
        self._thread.start()
        self.back()

    def _bind(self, port):
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", port))
        self.port = self._listener.getsockname()[1]

    def away(self):
        self._order(self._go_away)

    def back(self):
        self._order(self._come_back)

    def close(self):
        self._order(None)
        self._thread.join()

    def _order(self, what):
        done = threading.Event()
        with self._lock:
            self._orders.append((what, done))
        self._wake_write.send(b".")
        done.wait(30)

    def _go_away(self):
        for key in list(self._selector.get_map().values()):
            if key.data not in ("wake", "listener"):
                self._reset(key.fileobj)
        if self._listener in [key.fileobj for key in self._selector.get_map().values()]:
            self._selector.unregister(self._listener)
            self._listener.close()
            self._bind(self.port)

    def _come_back(self):
        if self._listener not in [key.fileobj for key in self._selector.get_map().values()]:
            self._listener.listen(16)
            self._listener.setblocking(False)
            self._selector.register(self._listener, selectors.EVENT_READ, "listener")

    def _run(self):
        while True:
            left = max(0.0, min((when for when, _ in self._due), default=time.monotonic() + 60) - time.monotonic())
            for key, _ in self._selector.select(left):
                if key.data == "wake":
                    self._wake_read.recv(4096)
                elif key.data == "listener":
                    self._accept()
                else:
                    self._read(key.fileobj, key.data)
            self._answer()
            with self._lock:
                orders, self._orders = self._orders, []
            for what, done in orders:
                if what is None:
                    return self._leave(done)
                what()
                done.set()

    def _leave(self, done):
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()
        self._wake_write.close()
        done.set()

    def _accept(self):
        connection, _ = self._listener.accept()
        connection.setblocking(True)
        connection.settimeout(5)
        self.connections += 1
        self._selector.register(connection, selectors.EVENT_READ, bytearray())

    def _reset(self, connection):
        self._selector.unregister(connection)
        self._due = [(when, whose) for when, whose in self._due if whose is not connection]
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    def _read(self, connection, pending):
        try:
            data = connection.recv(1 << 18)
        except OSError:
            data = b""
        if not data:
            return self._reset(connection)
        pending += data
        end = pending.rfind(END)
        if end < 0:
            return None
        whole = bytes(pending[:end])
        del pending[:end + len(END)]
        pings = whole.count(PING)
        events = whole.count(END) + 1 - pings
        if self.resets and events > 0:
            return self._reset(connection)
        self.events += events
        self.pings += pings
        self._due += [(time.monotonic() + self.pong_delay, connection)] * pings
        return None

    def _answer(self):
        now = time.monotonic()
        due, self._due = [c for when, c in self._due if when <= now], [d for d in self._due if d[0] > now]
        for connection in due:
            try:
                connection.sendall(_pong())
            except OSError:
                pass  # its end is read
