"""What all servers of a database under Patroni have in common."""

from ansible_collections.selfhost.django.plugins.filter.patroni import patroni, slot_of

TIMES = {"ttl": "20", "loop_wait": 5, "retry_timeout": 7}
SETTINGS = {"max_connections": 100, "Max_Worker_Processes": 8, "shared_buffers": "1GB", "track_commit_timestamp": True, "wal_keep_size": "512MB"}


def common(**wishes):
    return patroni(SETTINGS, ["db1", "DB-2.example"], **TIMES, **wishes)


def test_settings_that_have_to_be_the_same_are_taken_out_of_a_servers_own():
    assert common()["postgresql"]["parameters"] == {
        "max_connections": "100", "max_worker_processes": "8", "track_commit_timestamp": "on", "wal_keep_size": "512MB", "wal_log_hints": "on",
    }  # fmt: skip
    assert (common()["ttl"], common()["loop_wait"], common()["retry_timeout"]) == (20, 5, 7)


def test_slots_of_members_are_kept_and_others_left_alone():
    assert common(foreign_slots=["backup_b"])["slots"] == {"db1": {"type": "physical"}, "db_2_example": {"type": "physical"}}
    assert common(foreign_slots=["backup_b"])["ignore_slots"] == [{"name": "backup_b", "type": "physical"}]
    assert slot_of("ü1") == "u02521"


def test_who_has_to_acknowledge():
    found = [
        [common(synchronous=count, quorum=quorum)[f"synchronous_{name}"] for name in ("mode", "mode_strict", "node_count")]
        for count, quorum in ((0, True), (1, True), ("2", True), (1, False))
    ]
    assert found == [[False, False, 1], ["quorum", True, 1], ["quorum", True, 2], [True, True, 1]]


def test_no_data_is_removed_by_itself():
    assert [value for name, value in common()["postgresql"].items() if name.startswith("remove_data_directory")] == [False, False]
