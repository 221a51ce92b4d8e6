"""Ports for servers that can't choose one themselves."""
import random
import socket


def free_port():
    """Below the range from which outgoing connections, and servers that bind port 0, take theirs: it
    stays free until it is used, and over a restart."""
    while True:
        port = random.SystemRandom().randrange(12000, 20000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
