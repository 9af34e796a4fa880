"""The mailbox and the listener outside, and the host that tells them."""

import json
import subprocess

from playing import ROOT, SSH_CONFIG

ADDRESS = "10.88.17.99"
RECEIVED = "/var/lib/outside/received.jsonl"
STATUS, SETTINGS = "/etc/selfhost-notify/status.json", "/etc/selfhost-notify/notify.json"
# Changes a JSON file on the host: the program gets it as `content`.
CHANGE = "import json; path = {path!r}; content = json.load(open(path)); {change}; json.dump(content, open(path, 'w'))"


class Outside:
    """Who is told. A message comes three times: by mail, as plain JSON, and by apprise."""

    def run(self, command):
        words = ["ssh", "-F", str(SSH_CONFIG), "-o", "ControlPath=none", f"root@{ADDRESS}", command]
        return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60, cwd=ROOT).stdout

    def all(self):
        """Return all that came, in order."""
        return [json.loads(line) for line in self.run(f"cat {RECEIVED} 2>/dev/null || :").splitlines()]

    def messages(self, since):
        """Return what came by each way after so many others: their texts."""
        ways = {"mail": [], "/plain": [], "/apprise": []}
        for row in self.all()[since:]:
            if row["way"] != "get":
                name = "mail" if row["way"] == "mail" else "/" + row["path"].split("/")[1]
                ways[name].append(row["text"])
        return ways


class Teller:
    """The host that tells, whose timer rests while it is tested."""

    def __init__(self, host, outside):
        self.host, self.outside = host, outside

    def look(self, times=1):
        """Have it look, and send what there is; return what came meanwhile, by way."""
        since = len(self.outside.all())
        for _time in range(times):
            self.host.check_output("systemctl start selfhost-notify.service")
        # Another one may run, which has not seen the last message.
        self.host.check_output("systemctl start selfhost-notify-send.service && systemctl start selfhost-notify-send.service")
        return self.outside.messages(since)

    def known(self):
        """Return what it holds to be wrong, after a look."""
        self.look()
        return json.loads(self.host.file("/var/lib/selfhost-notify/state.json").content_string)["things"]

    def change(self, path, change):
        self.host.check_output("python3 -c %s", CHANGE.format(path=path, change=change))


def assert_silent(messages):
    """Assert that nobody was told anything."""
    assert messages == {"mail": [], "/plain": [], "/apprise": []}


def assert_told(messages, *texts):
    """Assert that each way was told each text once."""
    for way, said in messages.items():
        for text in texts:
            assert sum(one.count(text) for one in said) == 1, (way, text, said)
