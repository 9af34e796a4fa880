"""What the modules of a restore do in check mode, and how they tell what went wrong."""

import pathlib

import jinja2
import pytest
import yaml
from ansible_collections.selfhost.django.plugins.module_utils.postgresql_restore import QUESTIONS, STEPS, Failure
from ansible_collections.selfhost.django.plugins.modules import postgresql_restore, postgresql_restore_look

SERVER = {"version": "17", "cluster": "main", "stanza": "main", "port": 5432, "beside_port": 5433}


class Ended(Exception):
    """Stands for the end of a module; its arguments are what it said."""


@pytest.fixture
def run(monkeypatch):
    """Return a function that runs a module with parameters: what it says, and which steps it did."""

    def run(module, fails=False, check_mode=False, **params):
        done = []

        class Module:
            def __init__(self, argument_spec, supports_check_mode):
                assert supports_check_mode and set(params) <= set(argument_spec)
                self.params, self.check_mode = params, check_mode

            def exit_json(self, **said):
                raise Ended(said)

            def fail_json(self, **said):
                raise Ended(said | {"failed": True})

        def apart(step, specification):
            done.append((step, specification))
            if fails:
                raise Failure("it cannot be reached")
            return {"of": step}

        monkeypatch.setattr(module, "AnsibleModule", Module)
        monkeypatch.setattr(module, "apart", apart)
        with pytest.raises(Ended) as ended:
            module.main()
        return ended.value.args[0], done

    return run


@pytest.mark.parametrize("step", STEPS)
def test_a_dry_run_says_what_would_be_done(run, step):
    order = {"words": "the newest state"}
    dry, nothing = run(postgresql_restore, check_mode=True, step=step, server=SERVER, order=order)
    said, done = run(postgresql_restore, step=step, server=SERVER, order=order)
    assert nothing == [] and done == [(step, SERVER | order)]
    assert dry["changed"] and dry["diff"]["after"].strip()
    assert said == dry | {"result": {"of": step}}


def test_what_was_made_ready_long_ago_is_told_as_what_it_is(run):
    said, _done = run(postgresql_restore, step="swap", server=SERVER, order={"words": "the newest state", "since": "2026-01-05 03:15:00+00"})
    assert said["diff"]["after"] == "the newest state, made ready at 2026-01-05 03:15:00+00, is in the place of the cluster\n"


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_question_changes_nothing_and_is_asked_in_a_dry_run_too(run, check_mode):
    for step in QUESTIONS:
        said, done = run(postgresql_restore, check_mode=check_mode, step=step, server=SERVER, order={"dump": "latest"})
        assert (said, [step for step, _specification in done]) == ({"changed": False, "result": {"of": step}}, [step])
    said, done = run(postgresql_restore_look, check_mode=check_mode, server=SERVER)
    assert (said, done) == ({"changed": False, "seen": {"of": "look"}}, [("look", SERVER)])


def test_a_failure_is_one_sentence(run):
    for module, params in ((postgresql_restore, {"step": "swap", "order": {}}), (postgresql_restore_look, {})):
        said, _done = run(module, fails=True, server=SERVER, **params)
        assert said == {"failed": True, "msg": "it cannot be reached"}


def test_the_order_has_the_last_word_on_the_version(run):
    """What is of a former version is restored beside by that version's programs."""
    _said, ((_step, specification),) = run(postgresql_restore, step="beside", server=SERVER, order={"version": "15"})
    assert specification["version"] == "15"


@pytest.mark.parametrize(("repository", "check_mode", "is_looked_for"), [(0, False, True), (0, True, True), ("2", False, True), ("2", True, False)])
def test_a_dump_that_a_dry_run_has_not_brought_is_not_looked_for(repository, check_mode, is_looked_for):
    tasks = yaml.safe_load((pathlib.Path(__file__).parents[4] / "roles/postgresql_restore/tasks/dump.yml").read_text())
    (block,) = [task for task in tasks if task.get("block", [{}])[0].get("selfhost.django.postgresql_restore", {}).get("step") == "locate"]
    holds = jinja2.Environment().compile_expression(block["when"])
    assert holds(postgresql_restore_repository=repository, ansible_check_mode=check_mode) is is_looked_for
