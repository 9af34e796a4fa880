"""How the last backup of each kind went: a JSON file for people and programs, the same as metrics for Prometheus."""

import contextlib
import fcntl
import json
import socket
import time

from . import core, paths

FILE = "status.json"
METRICS = "postgresql_backup.prom"
# More than it ever is. Root reads it as well, and it is postgres'.
MOST_BYTES = 1 << 20

HELP = {
    "verdict": "Whether the last run went well (1) or not (0).",
    "finished_timestamp_seconds": "When the last run ended.",
    "succeeded_timestamp_seconds": "When the last run that went well ended; 0 for never.",
    "age_seconds": "How long ago the last run that went well ended, when this was written; -1 for never.",
    "duration_seconds": "How long the last run took.",
    "size_bytes": "Size of what the last run that went well made.",
}


def read(settings):
    """Return the status with ages as of now."""
    try:
        return age(paths.read_mapping(settings.path(FILE), MOST_BYTES), time.time())
    except (AttributeError, LookupError, TypeError):
        # There is none yet, or none that could be told.
        return age({"host": socket.gethostname(), "kinds": {}}, time.time())


def age(content, now):
    for row in content["kinds"].values():
        row["age_seconds"] = max(0, int(now - row["succeeded"])) if row["succeeded"] else None
    return content | {"written": int(now)}


def is_alone(settings):
    """Return whether all backups are on the machine of the database, and lost with it."""
    return settings.get("role") == "local" and all(settings["repository_paths"])


def awaited(settings, former, now):
    """Return since when each kind is awaited that runs by itself on this host: one that has never run has no row that could grow old."""
    kinds = {
        "logical": settings.get("dumps"), "drill": settings.get("drill"), "media": settings.get("media"),
        "offsite": not all(settings.get("repository_paths", [])),
    }  # fmt: skip
    return {kind: min(former.get(kind, int(now)), int(now)) for kind, is_set in kinds.items() if is_set}


def merge(content, kind, now, verdict, *, seconds=0, size=None, label=None, message="", **detail):
    """Return the status with one more run in it. What the last good run made is kept beside a failure."""
    before = content["kinds"].get(kind, {})
    good = verdict == "ok"
    row = {
        "verdict": verdict,
        "message": message,
        "finished": int(now),
        "succeeded": int(now) if good else before.get("succeeded"),
        "duration_seconds": round(seconds, 1),
        "size_bytes": size if good else before.get("size_bytes"),
        "label": label if good else before.get("label"),
        "detail": detail,
    }
    return age(content | {"kinds": content["kinds"] | {kind: row}}, now)


def metrics(content):
    """Return the status as Prometheus reads it."""
    lines = []
    for name, explanation in HELP.items():
        lines += [f"# HELP postgresql_backup_{name} {explanation}", f"# TYPE postgresql_backup_{name} gauge"]
        for kind, row in sorted(content["kinds"].items()):
            value = {
                "verdict": int(row["verdict"] == "ok"),
                "finished_timestamp_seconds": row["finished"],
                "succeeded_timestamp_seconds": row["succeeded"] or 0,
                "age_seconds": -1 if row["age_seconds"] is None else row["age_seconds"],
                "duration_seconds": row["duration_seconds"],
                "size_bytes": row["size_bytes"] or 0,
            }[name]
            lines.append(f'postgresql_backup_{name}{{kind="{kind}"}} {value}')
    return "\n".join(lines) + "\n"


def enter(settings, change):
    """Replace the status by what a function makes of it, and the metrics with it. What says that all is well must not outlive a failure, so what is there
    makes room on a full disk: the metrics first, and in the end the status."""
    try:
        with open(settings.path("status.lock"), "w", encoding="utf-8") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            content = change(read(settings))
            replace(settings, FILE, json.dumps(content, indent=2, sort_keys=True) + "\n", METRICS, FILE)
            with contextlib.suppress(OSError):
                replace(settings, METRICS, metrics(content), METRICS)
    except OSError as error:
        raise core.Failure(f"the status cannot be written: {error.strerror}", core.FULL) from None


def replace(settings, name, text, *others):
    """Write a file; as long as that fails, others go for it."""
    for other in (*others, None):
        try:
            return core.write(settings.path(name), text, 0o644)
        except OSError:
            if not other:
                raise
            core.remove(settings.path(other))


def write(settings, kind, verdict, **fields):
    """Enter a run of `kind` with its `verdict` (ok or failed): seconds, size (bytes), label, message, and what else is to be told."""

    def change(content):
        now = time.time()
        standing = {"is_alone": is_alone(settings), "awaited": awaited(settings, content.get("awaited", {}), now)}
        return merge(content, kind, now, verdict, **fields) | standing

    try:
        enter(settings, change)
    except core.Failure as failure:
        if verdict == "ok":
            raise
        # What else has failed is told by who has failed.
        core.complain(failure)


def keep(settings, number, moments):
    """Enter of when what a repository holds is: seconds since 1970 of its newest backup, dumps or uploads. What is not told stays as it was."""
    name = settings["places"][number - 1]

    def change(content):
        former = {place: row for place, row in content.get("places", {}).items() if place in settings["places"]}
        row = {"is_elsewhere": not settings["repository_paths"][number - 1]} | former.get(name, {}) | {"is_partial": number not in settings["repositories"]}
        return content | {"places": former | {name: row | {what: moment for what, moment in moments.items() if moment}}}

    enter(settings, change)


@contextlib.contextmanager
def record(settings, kind):
    """Enter what comes of the block: yields a mapping for size, label, message and what else is to be told."""
    started, fields = time.monotonic(), {}
    try:
        yield fields
    except BaseException as error:
        message = str(error) if isinstance(error, core.Failure) else core.line(f"interrupted by {type(error).__name__}: {error}")
        write(settings, kind, "failed", **(fields | {"seconds": time.monotonic() - started, "message": message}))
        raise
    write(settings, kind, "ok", **({"seconds": time.monotonic() - started} | fields))


def show(settings, arguments):
    """Print the status; a failure among the last runs is the exit status."""
    content = read(settings)
    if arguments.json:
        print(json.dumps(content, indent=2, sort_keys=True))
    else:
        for kind, row in sorted(content["kinds"].items()):
            when = f"{row['age_seconds'] // 3600} h ago" if row["succeeded"] else "never"
            size = core.human(row["size_bytes"]) if row["size_bytes"] else "-"
            told = f"{kind:8} {row['verdict']:7} last good {when}, {row['label'] or '-'}, {size}, {row['duration_seconds']} s {row['message']}"
            print(core.line(told.rstrip()))
        for place, row in content.get("places", {}).items():
            told = [f"{what} {(content['written'] - row[what]) // 3600} h old" for what in ("backup", "dumps", "uploads") if row.get(what)]
            print(core.line(f"{place}: {', '.join(told) or 'nothing yet'}"))
    if failed := [kind for kind, row in content["kinds"].items() if row["verdict"] != "ok"]:
        raise core.Failure(f"the last run failed of: {', '.join(sorted(failed))}")


COMMANDS = {
    "status": core.Command(show, "how the last run of each kind went", lambda parser: parser.add_argument("--json", action="store_true"), user=None),
}
