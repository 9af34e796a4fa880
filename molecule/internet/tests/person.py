"""Somebody at a laptop, of whom all is counted: what is typed, asked, edited and read, and how long that takes a person."""

import re
import time

from playing import SSH_CONFIG
from terminal import Terminal

# Who transcribes at a keyboard every day types 33 words of five characters a minute (Karat and others, "Patterns of entry and correction in
# large vocabulary continuous speech recognition systems", CHI 1999).
CHARACTERS_A_MINUTE = 165
# Grown-ups read 238 words of English prose a minute, most of them 175 to 300 (Brysbaert, "How many words do we read per minute?", Journal of
# Memory and Language 109, 2019).
WORDS_A_MINUTE = 200
# At the end of what has come, but for an order to the terminal.
PROMPT = rb"ann@laptop:[^\n]*\$ (?:\x1b\[[0-9;?]*[A-Za-z])*$"
# What a terminal is told and nobody reads.
CONTROL = re.compile(r"\x1b\][^\x07]*\x07|\x1b\[[0-9;?]*[A-Za-z]")


def words(text):
    """Return how many words a reader has of a text: what has a letter or a digit; what was written over is not there any more."""
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in CONTROL.sub("", text).split("\n"))
    return sum(bool(re.search(r"\w", word)) for line in lines for word in line.split())


class Person:
    """Ann, who has logged into her laptop."""

    def __init__(self, address):
        self.typed = self.read = self.machine_seconds = 0
        # Of edits, by the names of files, README.md asks none.
        self.commands, self.questions, self.edits = [], [], []
        # What the terminal has shown.
        self.seen = ""
        self.terminal = Terminal("ssh", "-tt", "-F", SSH_CONFIG, "-o", "ControlPath=none", f"ann@{address}")
        self.terminal.read_until(PROMPT)

    def reads(self, text):
        """Read what is on paper, as it were."""
        self.read += words(text)

    def runs(self, command, answers=None, seconds=900):
        """Type a command, answer what it asks (answers by the end of a question, a regular expression), and return what it prints.

        A question that nobody knows an answer to is waited for in vain.
        """
        self.commands.append(command)
        printed, patterns = "", [PROMPT, *(answers or {})]
        begun, text = time.monotonic(), command
        while True:
            self.typed += len(text) + 1
            self.terminal.type(f"{text}\n".encode())
            # The echo comes first.
            seen = self.terminal.read_until(rb"\n[\s\S]*(?:" + b"|".join(patterns) + rb")", seconds)
            printed += seen.decode(errors="replace")
            asked = next((pattern for pattern in patterns[1:] if re.search(pattern, seen)), None)
            if asked is None:
                break
            self.questions.append(CONTROL.sub("", seen.decode(errors="replace")).splitlines()[-1].strip())
            text = answers[asked]
        self.machine_seconds += time.monotonic() - begun
        self.read += words(printed)
        shown = CONTROL.sub("", printed).replace("\r", "")
        self.seen += f"{shown}\n"
        return shown

    def arranges(self, command):
        """Type what only a lab needs: it is not counted."""
        self.terminal.type(f"{command}\n".encode())
        self.terminal.read_until(rb"\n[\s\S]*" + PROMPT)

    @property
    def minutes(self):
        """What all of it takes a person, who waits for no machine."""
        return self.typed / CHARACTERS_A_MINUTE + self.read / WORDS_A_MINUTE

    def report(self):
        """What it was, in a sentence."""
        return (
            f"{len(self.questions)} questions, {len(self.edits)} edits, {len(self.commands)} commands; {self.typed} characters typed, "
            f"{self.read} words read; {self.minutes:.1f} min of a person's time; {self.machine_seconds / 60:.1f} min of the machine's"
        )
