"""A restore in place survives its own death at every step: the next run finishes it, and the name is never without a cluster."""

import contextlib
import importlib.util
import json
import pathlib

import pytest

FILE = pathlib.Path(__file__).parents[3] / "roles/postgresql_backup/files/restore.py"
spec = importlib.util.spec_from_file_location("restore", FILE)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)

SPECIFICATION = {"version": "17", "cluster": "main", "stanza": "main", "configuration": "/x", "port": 5432, "beside_port": 5433, "words": "a moment"}


class Killed(BaseException):
    """Stands for SIGKILL: nothing after it is done, no handler of the program's own catches it."""


@pytest.fixture
def restore(tmp_path, monkeypatch):
    """Return a prepared restore whose every outward step is counted, and dies before the step that is named."""

    class Steps:
        done, deadly, servers = 0, None, []

    def step(function):
        def counted(*arguments, **options):
            # What would be seen from outside at any time.
            assert (tmp_path / "main" / "PG_VERSION").exists(), "there is no cluster under its name"
            if Steps.done == Steps.deadly:
                raise Killed
            Steps.done += 1
            return function(*arguments, **options)

        return counted

    def systemctl(*command, **_options):
        if command[1] in ("start", "stop"):
            Steps.servers.append((command[1], (tmp_path / "main" / "whose").read_text()))

    def write(path, text, mode=0o600):
        pathlib.Path(path).write_text(text)

    def make():
        restore = module.Restore(SPECIFICATION)
        restore.base, restore.main, restore.new = tmp_path, tmp_path / "main", tmp_path / "main.restoring"
        restore.journal = tmp_path / "main.restore.json"
        return restore

    monkeypatch.setattr(module, "run", step(systemctl))
    monkeypatch.setattr(module, "write", step(write))
    monkeypatch.setattr(module, "exchange", step(module.exchange))
    monkeypatch.setattr(module.os, "rename", step(module.os.rename))
    monkeypatch.setattr(module.shutil, "rmtree", step(module.shutil.rmtree))
    monkeypatch.setattr(module.Restore, "make", lambda self, directory: None)
    monkeypatch.setattr(module.Restore, "wait", lambda self, port: None)
    for name, whose in (("main", "former"), ("main.restoring", "restored")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "PG_VERSION").write_text("17")
        (tmp_path / name / "whose").write_text(whose)
    (tmp_path / "main.restore.json").write_text(json.dumps({"words": "a moment", "phase": "prepared", "stamp": "S"}))
    return make, Steps


def whose(path):
    return (path / "whose").read_text()


def finished(tmp_path):
    assert whose(tmp_path / "main") == "restored"
    assert whose(tmp_path / "main.before-S") == "former"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["main", "main.before-S", "main.restore.json"]
    assert sorted(path.name for path in (tmp_path / "main").iterdir()) == ["PG_VERSION", "whose"]


@pytest.mark.parametrize("deadly", range(10))
def test_the_next_run_finishes_it(restore, tmp_path, deadly):
    make, steps = restore
    steps.deadly = deadly
    with contextlib.suppress(Killed):
        make().swap()
    steps.deadly = None
    make().swap()
    finished(tmp_path)
    assert steps.servers[-1] == ("start", "restored")
    make().complete()
    assert not (tmp_path / "main.restore.json").exists()


@pytest.mark.parametrize("deadly", [None, *range(14)])
def test_what_does_not_start_is_put_back(restore, tmp_path, monkeypatch, deadly):
    """Even when putting it back is interrupted: the next run then tries again, and puts it back."""
    make, steps = restore

    def wait(self, _port):
        if whose(tmp_path / "main") == "restored":
            raise module.Failure("the server on port 5432 does not answer.")

    monkeypatch.setattr(module.Restore, "wait", wait)
    steps.deadly = deadly
    try:
        make().swap()
    except Killed:
        steps.deadly = None
        if (tmp_path / "main.restore.json").exists():
            with pytest.raises(module.Failure):
                make().swap()
        make().forget()
    except module.Failure as failure:
        assert str(failure) == "the server on port 5432 does not answer. The cluster is as it was before."
    assert whose(tmp_path / "main") == "former"
    assert [path.name for path in tmp_path.iterdir()] == ["main"]
    assert steps.servers[-1] == ("start", "former")


def test_another_wish_is_not_mixed_with_an_unfinished_one(restore, tmp_path):
    make, steps = restore
    steps.deadly = 4
    with pytest.raises(Killed):
        make().swap()
    steps.deadly = None
    other = make()
    other.asked = SPECIFICATION | {"words": "another moment"}
    with pytest.raises(module.Failure, match="a restore in place to a moment is not finished"):
        other.prepare()
