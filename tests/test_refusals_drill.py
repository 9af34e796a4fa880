"""Bad input about the drill and the uploads is refused in one sentence, before any host is touched."""

import pytest


BAD = [
    ({"postgresql_backup_drill_schedule": "weekly"}, "postgresql_backup_drill_schedule is 'weekly': give the five fields"),
    ({"postgresql_backup_drill_path": "drill"}, "postgresql_backup_drill_path is 'drill': give an absolute path"),
    ({"media_backup_retention_days": 0}, "media_backup_retention_days is '0': give a whole number from 1"),
]


def test_bad_values(each_is_refused):
    each_is_refused(BAD, "postgresql_backup", "media_backup")


@pytest.mark.parametrize(
    ("groups", "variables", "sentence"),
    [
        (None, {"restore_media": "perhaps"}, "restore_media is 'perhaps': give true or false."),
        (None, {"restore_dump": "latest"}, "restore_media does not go with restore_dump"),
        (None, {"restore_in_place": "yes"}, "restore_in_place is 'yes': the uploads are put in the place of those of 'shop/main' only when"),
        ({"web": ["site1"], "database": ["site2"]}, {}, "restore_media is true, yet the uploads are in no backup: the web hosts are others than"),
        ({"database": ["site2"]}, {}, "restore_media is true, yet the uploads are in no backup: the site has no web host."),
    ],
    ids=["switch", "dump", "confirmation", "nobody", "no web host"],
)
def test_uploads_that_cannot_be_restored(sentences, groups, variables, sentence):
    (said,) = sentences(groups, ["restore_media"], **({"restore_media": "true"} | variables))
    assert said.startswith(sentence)
