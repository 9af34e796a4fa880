"""A program at a terminal, as somebody has it who types."""

import os
import pty
import re
import select
import time


class Terminal:
    """A command at a terminal."""

    def __init__(self, *words):
        self.process, self.end = pty.fork()
        if not self.process:
            os.execvp(words[0], list(map(str, words)))

    def read(self, word, seconds=60):
        """Read until that word comes, and return all that came."""
        return self.read_until(re.escape(word), seconds)

    def read_until(self, pattern, seconds=60):
        """Read until what came matches a regular expression, and return all that came."""
        seen, until = b"", time.monotonic() + seconds
        while not re.search(pattern, seen):
            ready, _w, _x = select.select([self.end], [], [], max(0, until - time.monotonic()))
            assert ready, f"{pattern} did not come: {seen}"
            try:
                seen += os.read(self.end, 4096)
            except OSError:
                raise AssertionError(f"{pattern} did not come: {seen}") from None
        return seen

    def type(self, text):
        os.write(self.end, text)

    def wait(self):
        """Return the exit status, once all is read."""
        try:
            while os.read(self.end, 4096):
                pass
        except OSError:
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])
