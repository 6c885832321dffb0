"""The other side of the interop tests: libzmq. Usage: peer.py MODE ADDRESS PUBLIC SECRET PEER (keys in hex)."""
import sys
import time

import zmq
from zmq.utils.monitor import recv_monitor_message

mode, address, public, secret, peer = sys.argv[1:]
context = zmq.Context()


def make(kind):
    s = context.socket(kind)
    s.setsockopt(zmq.CURVE_PUBLICKEY, bytes.fromhex(public))
    s.setsockopt(zmq.CURVE_SECRETKEY, bytes.fromhex(secret))
    if kind == zmq.ROUTER:
        s.setsockopt(zmq.CURVE_SERVER, 1)
    else:
        s.setsockopt(zmq.CURVE_SERVERKEY, bytes.fromhex(peer))
        s.setsockopt(zmq.IDENTITY, b"i-claim-to-be-root")
    s.setsockopt(zmq.HEARTBEAT_IVL, 100)
    s.setsockopt(zmq.HEARTBEAT_TIMEOUT, 500)
    s.setsockopt(zmq.LINGER, 0)
    s.setsockopt(zmq.RCVTIMEO, 10000)
    return s


def events(monitor, seconds):
    end = time.time() + seconds
    while time.time() < end:
        if monitor.poll(50):
            yield recv_monitor_message(monitor)["event"]


if mode == "dealer":
    s = make(zmq.DEALER)
    monitor = s.get_monitor_socket()
    s.connect("tcp://" + address)
    for size in (0, 1, 222, 223, 255, 256, 65536, 4 << 20):
        body = b"x" * size
        s.send(body)
        if s.recv() != body:
            sys.exit("echo of %d bytes differs" % size)
    lost = sum(e == zmq.EVENT_DISCONNECTED for e in events(monitor, 2))
    s.send(b"after idling")
    if s.recv() != b"after idling" or lost:
        sys.exit("lost the connection %d times while idle" % lost)
    print("ok")
elif mode in ("refused", "refused-sub"):
    s = make(zmq.DEALER if mode == "refused" else zmq.SUB)
    monitor = s.get_monitor_socket()
    s.connect("tcp://" + address)
    for e in events(monitor, 10):
        if e == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            sys.exit("the handshake succeeded")
        if e == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            print("ok")
            break
elif mode == "parts":
    s = make(zmq.DEALER)
    monitor = s.get_monitor_socket()
    s.connect("tcp://" + address)
    s.send_multipart([b"one", b"two"])
    print("ok" if zmq.EVENT_DISCONNECTED in events(monitor, 10) else "not cut")
elif mode in ("router", "router-parts"):
    s = make(zmq.ROUTER)
    s.bind("tcp://127.0.0.1:*")
    print(s.getsockopt(zmq.LAST_ENDPOINT).decode().removeprefix("tcp://"), flush=True)
    while True:
        parts = s.recv_multipart()
        s.send_multipart(parts if mode == "router" else parts + [b"one more"])
elif mode == "sub":
    s = make(zmq.SUB)
    xsub = make(zmq.XSUB)
    for one in (s, xsub):
        one.connect("tcp://" + address)
    s.subscribe(b"wanted/not")
    s.subscribe(b"wanted/")
    s.unsubscribe(b"wanted/not")
    xsub.send(b"\x01wanted/")
    for one in (s, xsub):
        monitor = one.get_monitor_socket()
        sizes = []
        while len(sizes) < 5:
            topic, body = one.recv_multipart()
            if topic == b"wanted/sync":
                continue
            if topic != b"wanted/%d" % len(body) or body.strip(b"x"):
                sys.exit("got %r with %d bytes" % (topic, len(body)))
            sizes.append(len(body))
            print("got", flush=True)
        if sizes != [0, 1, 255, 256, 4 << 20]:
            sys.exit("got %s" % sizes)
        if zmq.EVENT_DISCONNECTED in events(monitor, 2):
            sys.exit("lost the connection while idle")
    print("ok")
