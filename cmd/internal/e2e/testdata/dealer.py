"""A client with libzmq's own CURVE, which tells what becomes of its handshakes. Usage: dealer.py ADDRESS PUBLIC SECRET SERVER (keys in hex)."""
import sys
import time

import zmq
from zmq.utils.monitor import recv_monitor_message

address, public, secret, server = sys.argv[1:]
names = {getattr(zmq, "EVENT_" + n): n for n in (
    "HANDSHAKE_SUCCEEDED", "HANDSHAKE_FAILED_AUTH", "HANDSHAKE_FAILED_NO_DETAIL", "HANDSHAKE_FAILED_PROTOCOL", "DISCONNECTED")}

s = zmq.Context().socket(zmq.DEALER)
s.setsockopt(zmq.LINGER, 0)
s.setsockopt(zmq.CURVE_PUBLICKEY, bytes.fromhex(public))
s.setsockopt(zmq.CURVE_SECRETKEY, bytes.fromhex(secret))
s.setsockopt(zmq.CURVE_SERVERKEY, bytes.fromhex(server))
monitor = s.get_monitor_socket()
s.connect("tcp://" + address)
end = time.time() + 120
while time.time() < end:
    if monitor.poll(100):
        event = recv_monitor_message(monitor)["event"]
        if event in names:
            print(names[event], flush=True)
