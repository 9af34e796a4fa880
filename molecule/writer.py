"""Writes rows straight to the database, without the application, and notes in a file which were acknowledged. Runs on the web host.

A writer that hears nothing for some seconds is left to itself and another takes its place: what it hears later counts as well.
"""

import itertools
import os
import sys
import threading
import time

import psycopg

LOG, WRITERS, PATIENCE = sys.argv[1], 4, 4.0
lock = threading.Lock()
numbers = itertools.count()
INSERT = """
INSERT INTO trial (row) VALUES (%s) RETURNING host(inet_server_addr()), substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)
"""


class Writer(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        self.seen = time.monotonic()
        self.name = str(next(numbers))

    def run(self):
        connection = None
        while not self.replaced():
            try:
                if connection is None:
                    connection = psycopg.connect(os.environ["TRIAL"], autocommit=True)
                for count in itertools.count():
                    row, sent = f"{self.name}-{count}-{time.time():.6f}", time.time()
                    server, timeline = connection.execute(INSERT, [row]).fetchone()
                    with lock:
                        log.write(f"{row}\t{sent:.6f}\t{time.time():.6f}\t{server}\t{timeline}\n")
                    self.seen = time.monotonic()
                    if self.replaced():
                        return
                    time.sleep(0.05)
            except psycopg.Error as error:
                print(f"{time.time():.3f} {self.name}: {' '.join(str(error).split())}", flush=True)
                # A notice that a commit was not replicated is no acknowledgement, and none comes: the server closes the connection.
                if connection is not None:
                    connection.close()
                connection = None
                self.seen = time.monotonic()
                time.sleep(0.1)

    def replaced(self):
        return self not in writers


log = open(LOG, "a", buffering=1)
writers = [Writer() for _number in range(WRITERS)]
for writer in writers:
    writer.start()
while not os.path.exists(LOG + ".stop"):
    time.sleep(0.5)
    for place, writer in enumerate(writers):
        if time.monotonic() - writer.seen > PATIENCE:
            writers[place] = Writer()
            writers[place].start()
