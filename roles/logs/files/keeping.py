# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Keeps what the hosts of a site log, each host's in a journal of its own. Whose it is says the certificate of who sends it, and nothing else."""

from __future__ import annotations

import argparse
import os
import pathlib
import shutil
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
import time

TIMEOUT_SECONDS = 60
# Of a batch, which is about a megabyte and the entry that reached it.
MOST_BYTES = 4 << 20
# What is left of the disk for all else on this host.
LEAST_FREE = 0.1
WRITER = "/usr/lib/systemd/systemd-journal-remote"


def whose(certificate, hosts):
    """Return which of the site's hosts (names) a certificate, as the module ssl shows it, is of; None where it is of none of them alone."""
    names = {value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"} & set(hosts)
    return names.pop() if len(names) == 1 else None


class Store:
    """The journals, a folder for each host, of which none takes another's room."""

    def __init__(self, path, max_mb, max_days, writer=WRITER):
        self.path, self.bounds, self.writer = path, [f"--vacuum-size={max_mb}M", f"--vacuum-time={max_days}d"], writer
        self.locks, self.looked = {}, {}

    def keep(self, host, batch):
        """Write entries in the journal's export format; they are on disk when this returns."""
        folder, disk = self.path / host, shutil.disk_usage(self.path)
        if disk.free < LEAST_FREE * disk.total:
            raise OSError(f"less than {LEAST_FREE:.0%} of the disk is free, and nothing is kept")
        with self.locks.setdefault(host, threading.Lock()):
            folder.mkdir(mode=0o700, exist_ok=True)
            subprocess.run([self.writer, f"--output={folder}/kept.journal", "-"], input=batch, capture_output=True, check=True)
            self.make_room(host, folder)

    def make_room(self, host, folder):
        """Remove what is too old, or too much, where a file was begun, and once a day."""
        if self.looked.get(host) != self.look(folder):
            subprocess.run(["journalctl", "--quiet", f"--directory={folder}", *self.bounds], capture_output=True, check=True)
            self.looked[host] = self.look(folder)

    @staticmethod
    def look(folder):
        return len(os.listdir(folder)), time.time() // 86400


class Sending(socketserver.BaseRequestHandler):
    """A host that sends: batches, each with its length in a line before it, and is told when each is kept."""

    def handle(self):
        self.request.settimeout(TIMEOUT_SECONDS)
        with self.server.context().wrap_socket(self.request, server_side=True) as channel, channel.makefile("rb") as stream:
            host = whose(channel.getpeercert(), self.server.hosts)
            while host and (size := stream.readline(16).strip()).isdigit() and int(size) <= MOST_BYTES:
                batch = stream.read(int(size))
                if len(batch) < int(size):
                    return
                self.server.store.keep(host, batch)
                channel.sendall(b"kept\n")


class Server(socketserver.ThreadingTCPServer):
    """Takes what is sent to a socket that listens already."""

    daemon_threads = True

    def __init__(self, listening, hosts, certificates, store):
        socketserver.BaseServer.__init__(self, listening.getsockname(), Sending)
        self.socket, self.hosts, self.certificates, self.store = listening, hosts, certificates, store

    def context(self):
        """Return what a connection is secured by, as the files are now."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(f"{self.certificates}/host.crt", f"{self.certificates}/host.key")
        context.load_verify_locations(f"{self.certificates}/ca.crt")
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def handle_error(self, request, client_address):
        error = sys.exc_info()[1]
        said = getattr(error, "stderr", b"") or b""
        print(f"{client_address[0]}: {error} {said.decode(errors='replace')[-500:]}".strip(), file=sys.stderr)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--certificates", required=True, metavar="DIRECTORY")
    parser.add_argument("--max-mb", required=True, type=int)
    parser.add_argument("--max-days", required=True, type=int)
    parser.add_argument("hosts", nargs="+")
    given = parser.parse_args()
    store = Store(pathlib.Path(os.environ["LOGS_DIRECTORY"]), given.max_mb, given.max_days)
    # systemd's first socket.
    Server(socket.socket(fileno=3), given.hosts, given.certificates, store).serve_forever()


if __name__ == "__main__":
    main()
