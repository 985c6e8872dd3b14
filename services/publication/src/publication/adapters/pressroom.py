"""`python -m publication.adapters.pressroom`: where the processes that make paper come from.

One process loads the libraries and forks whenever it is handed a socket; the fork takes jobs from
that socket until it is closed. What was loaded before is shared by all of them.
"""

import ctypes
import gc
import os
import signal
import socket
import sys
from urllib.parse import urlsplit

import msgspec

from publication.adapters import jobs, paper, pdf_stamp
from shared import logs


def main() -> None:
    """Fork for each socket that comes through the one named on the command line."""
    control = socket.socket(fileno=int(sys.argv[1]))
    memory_bytes, public_url = int(sys.argv[2]), sys.argv[3]
    logs.configure("publication")
    # The parent decides when these processes end, and never asks how they did.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    set_captions(urlsplit(public_url).netloc)
    share_memory()
    while True:
        _, received, _, _ = socket.recv_fds(control, 1, 1)
        if not received:
            return
        with socket.socket(fileno=received[0]) as connection:
            if os.fork() == 0:
                control.close()
                paper.limit_process(memory_bytes)
                work(connection)
                return


def set_captions(host: str) -> None:
    """Have the usual captions set by a process that ends: the typesetter's memory ends with it.

    Never here: it starts threads, and a fork of a process with threads is not safe.
    """
    reader, writer = os.pipe()
    if os.fork() == 0:
        with os.fdopen(writer, "wb") as made:
            made.write(msgspec.msgpack.encode(list(pdf_stamp.captions(host).items())))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as made:
        found = msgspec.msgpack.decode(made.read(), type=list[tuple[pdf_stamp.Caption, bytes]])
    pdf_stamp.keep_captions(dict(found))


def share_memory() -> None:
    """Make what is loaded stay shared with the forks: a page that one of them writes to is not."""
    # The collector writes to every object that it visits.
    gc.collect()
    gc.freeze()
    # Loading leaves holes, which forks would fill, each for itself. Only glibc has this.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def work(connection: socket.socket) -> None:
    """Do the jobs that come through `connection`, until it is closed."""
    try:
        connection.sendall(jobs.STARTED)
        while length := connection.recv(jobs.LENGTH_BYTES, socket.MSG_WAITALL):
            message = connection.recv(int.from_bytes(length), socket.MSG_WAITALL)
            job = jobs.job_decoder.decode(message)
            del message
            answer = jobs.encoder.encode(paper.do(job))
            connection.sendall(len(answer).to_bytes(jobs.LENGTH_BYTES))
            connection.sendall(answer)
            # While it waits for the next it holds neither.
            del job, answer
    except (ConnectionError, msgspec.DecodeError):
        # The parent ended, or broke off in the middle: nobody waits for this paper.
        return


if __name__ == "__main__":
    main()
    # Straight out: libraries that are unloaded complain about one another.
    os._exit(0)
