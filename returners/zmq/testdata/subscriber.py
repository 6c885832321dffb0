"""A subscriber as anybody would write it. Reads the address, the server's key and its own key pair; prints one message."""
import sys

import zmq

address, server, keys = sys.stdin.read().split("\n")[:3]
s = zmq.Context().socket(zmq.SUB)
s.curve_publickey, s.curve_secretkey = (k.encode() for k in keys.split(" "))
s.curve_serverkey = server.encode()
s.subscribe(sys.argv[1])
s.setsockopt(zmq.RCVTIMEO, 10000)
s.connect("tcp://" + address)
topic, record = s.recv_multipart()
print(topic.decode())
print(record.decode())
