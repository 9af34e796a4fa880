"""Who looks at clusters waits for a run that was killed, and is still at work on its host."""

import fcntl
import threading

from ansible_collections.selfhost.django.plugins.module_utils import postgresql_upgrade


def test_a_look_waits_for_who_is_at_work(tmp_path, monkeypatch):
    monkeypatch.setattr(postgresql_upgrade, "LOCK", str(tmp_path / "lock"))
    looked = threading.Event()

    def look():
        postgresql_upgrade.wait_for_others()
        looked.set()

    with open(tmp_path / "lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        threading.Thread(target=look, daemon=True).start()
        assert not looked.wait(0.3)
    assert looked.wait(10)
    # One that only looks is in nobody's way.
    with open(tmp_path / "lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
