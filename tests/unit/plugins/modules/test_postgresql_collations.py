"""Indexes are rebuilt before the versions of their collations are written down, and only those that have to be."""

import pytest
from ansible_collections.selfhost.django.plugins.modules import postgresql_collations as module


class Fake(module.Server):
    """A server that answers by a table, and keeps what it is told."""

    def __init__(self, databases, collations=(), indexes=()):
        self.answers, self.told, self.patience = (databases, collations, indexes), [], 0

    def rows(self, database, *statements, **values):
        for statement in statements:
            if statement in (module.DATABASES, module.COLLATIONS):
                return list(self.answers[statement == module.COLLATIONS])
            if statement == module.INDEXES:
                self.asked = values
                return [(index,) for index in self.answers[2]]
            self.told.append((database, statement))
        return []


@pytest.mark.parametrize(("recorded", "actual", "is_changed"), [("2.36", "2.41", True), ("2.41", "2.41", False), (None, None, False), (None, "2.41", False)])
def test_a_version_that_is_not_written_down_has_not_changed(recorded, actual, is_changed):
    assert module.changed(recorded, actual) is is_changed


def test_a_server_of_one_order_is_left_alone():
    server = Fake([("shop", True, "2.41", "2.41"), ("template0", False, None, None)])
    assert server.settle(False) == {} and server.told == []


def test_the_indexes_come_before_the_versions():
    server = Fake([("shop", True, None, None)], [(4711, "public.latvian")], ["public.words_pkey", 'public."Odd"'])
    assert server.settle(False) == {"shop": {"collations": ["public.latvian"], "indexes": ["public.words_pkey", 'public."Odd"']}}
    assert server.told == [
        ("shop", "REINDEX INDEX public.words_pkey"), ("shop", 'REINDEX INDEX public."Odd"'), ("shop", "ALTER COLLATION public.latvian REFRESH VERSION"),
    ]  # fmt: skip
    assert server.asked == {"stale": [4711], "own": False}


def test_a_database_with_an_order_of_its_own_and_one_that_nobody_may_enter():
    server = Fake([("shop", True, "2.36", "2.41"), ("template0", False, "2.36", "2.41")], indexes=["public.name"])
    assert set(server.settle(False)) == {"shop", "template0"}
    assert server.asked == {"stale": [module.DEFAULT], "own": True}
    assert server.told == [
        ("shop", "REINDEX INDEX public.name"), ("shop", 'ALTER DATABASE "shop" REFRESH COLLATION VERSION'),
        ("postgres", 'ALTER DATABASE "template0" REFRESH COLLATION VERSION'),
    ]  # fmt: skip


def test_a_dry_run_tells_and_does_nothing():
    server = Fake([("shop", True, "2.36", "2.41")], indexes=["public.name"])
    assert server.settle(True) == {"shop": {"collations": ["its own"], "indexes": ["public.name"]}} and server.told == []
