# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Which directories a part of a site must not have for itself, and what can be wrong with those of an application."""

from __future__ import annotations

import posixpath
import re

from ansible_collections.selfhost.django.plugins.module_utils.paths import is_inside

from .values import GIVE_PLACE, PLACE, is_list, listed, matches, told

# What releases make and clear, beside the store of static files.
OWN = ("build", "current", "home", "python", "releases", "repository.git", "venvs")
# Nothing in them is a site's: they are the system's (file-hierarchy(7)), or are cleared at boot or by time (tmpfiles.d(5)).
SYSTEM = (
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/lost+found", "/proc", "/root", "/run", "/sbin", "/sys", "/tmp", "/usr",
    "/var/cache", "/var/lock", "/var/run", "/var/spool", "/var/tmp", "/var/lib/postgresql",
)  # fmt: skip
# Those in which everybody has a place of one's own.
SHARED = ("/home", "/media", "/mnt", "/opt", "/srv", "/var/lib", "/var/log", "/var/www")
# What a unit does not see of a host (systemd.exec(5), "ProtectHome=" and "PrivateTmp=").
HOMES = ("/home", "/root", "/run/user")
TEMPORARY = ("/tmp", "/var/tmp")
# What is absolute, leads upwards, or is the folder of manage.py itself.
LEAVES = re.compile(r"^/|(^|/)\.\.(/|$)|^[./]*$")
# Of a folder inside a release: units, shells and servers read it as part of a path.
FOLDER = r"(?!~)[\w.@+~-]+(/+[\w.@+~-]+)*/?"
GIVE_FOLDER = "give a folder inside the release, relative to the folder of manage.py, or an absolute path, without spaces"
# Whose modes the roles set: the directories themselves, and those in which a file of ours lies.
DIRECTORIES = ("app_certificate_path", "app_acme_path", "app_acme_certificates", "app_backup_state_path", "guard_candidate_path")
FOLDERS_OF_FILES = ("app_release_log", "app_release_lock", "app_notify_settings", "app_logs_reached")
FILES = (*FOLDERS_OF_FILES, "app_balancer_socket", "app_maintenance_file", "app_run_command", "app_socket", "app_backup_command")
# No unit has to do with these.
OF_NO_UNIT = ("app_release_lock", "guard_candidate_path")
# These are read by units that see homes.
SEEN_AT_HOME = ("app_release_log", "app_notify_settings")


def holds_of_system(path):
    """Return a path that is or holds a directory of the system, or one in which everybody has a place; an empty string for any other."""
    path = posixpath.normpath(path)
    return next((path for place in (*SYSTEM, *SHARED) if is_inside(place, path)), "")


def place_of_system(path):
    """Return the directory of the system in which a path lies, or which it is or holds; an empty string for none."""
    return holds_of_system(path) or next((place for place in SYSTEM if is_inside(path, place)), "")


def unseen_place(path):
    """Return the directory in which a path lies and of which no unit sees anything; an empty string for none."""
    return next((place for place in (*HOMES, *TEMPORARY) if is_inside(path, place)), "")


def place_of_releases(path, root, store=""):
    """Return the directory that releases make and clear in which a path lies, or which it is or holds; an empty string for none.

    root is the application's directory; store is that of the static files, where it matters.
    """
    path, root = posixpath.normpath(path), posixpath.normpath(root)
    if store and (is_inside(path, store) or is_inside(store, path)):
        return posixpath.normpath(store)
    if is_inside(root, path) or path == f"{root}/shared":
        return path
    return next((f"{root}/{name}" for name in OWN if is_inside(path, f"{root}/{name}")), "")


def meetings(places):
    """Yield each two (name, path) of a list whose paths are one, or one inside the other."""
    for number, (name, path) in enumerate(places):
        for other, there in places[:number]:
            if meet(path, there):
                yield (name, path), (other, there)


def meet(path, there):
    """Return whether two paths are one, or one inside the other."""
    return path.startswith("/") == there.startswith("/") and (is_inside(path, there) or is_inside(there, path))


def whose_place(path, root="", store="", hidden=True):
    """Return in words whose place a path is, which has to be the application's own; an empty string where it is.

    root is the application's directory, none where that itself is asked for; hidden tells whether its units see no homes.
    """
    if root and (place := place_of_releases(path, root, store)):
        return f"{place} is where releases come and go"
    if place := place_of_system(path):
        return f"{place} is the system's"
    return why_unseen(path, hidden)


def why_unseen(path, hidden=True):
    """Return in words why the units that have to do with a path see nothing of it; an empty string where they see it."""
    place = unseen_place(path)
    if place in TEMPORARY:
        return f"its units see nothing of {place} (PrivateTmp=)"
    if place and hidden:
        return f"its units see nothing of {place} (ProtectHome=), of which a folder can be bound elsewhere (mount --bind)"
    return ""


def hides_homes(sandbox):
    """Return whether directives of a unit take homes out of its sight."""
    return re.search("^ProtectHome=(true|yes|on|1|tmpfs)", str(sandbox), re.MULTILINE) is not None


# --- Those of an application ------------------------------------------------------------------


def places(site):
    """Say what is wrong with the directories of an application, and with the paths of files that roles make."""
    root = site["app_root"]
    hidden = hides_homes(site["app_service_sandbox"])
    like = f"such as /srv/{site['app_name']}"
    if not matches(PLACE, root):
        # All others derive from it.
        yield f"app_root is {told(root)}: {GIVE_PLACE}, {like}."
        return
    if place := whose_place(root, hidden=hidden):
        yield f"app_root is '{root}', and {place}: give a folder of its own, {like}."
        return
    if is_list(site["app_shared_paths"]) and (leaving := [path for path in site["app_shared_paths"] if not _stays(path)]):
        yield f"app_shared_paths holds {listed(leaving)}: give paths inside the release, relative to the folder of manage.py."
    yield from _store(site, hidden)
    yield from _media(site, hidden)
    yield from _static_root(site, hidden)
    yield from _of_roles(site, hidden)


def _stays(path):
    """Return whether a path names something inside of the release."""
    return not LEAVES.search(str(path)) and matches(r"[^\x00-\x1f\x7f]+", path)


def _is_folder(path):
    """Return whether a path is that of a folder, inside of the release or anywhere."""
    return matches(f"{PLACE}/?", path) or matches(FOLDER, path) and not LEAVES.search(path)


def _shared(site):
    """Return what outlives a release and is no static file: names of variables, paths as these have them, and as they lie on a host."""
    root, paths = site["app_root"], site["app_shared_paths"]
    rows = [("app_shared_paths", str(path), f"{root}/shared/{path}") for path in (paths if is_list(paths) else [])]
    return [*rows, ("app_media_root", str(site["app_media_root"]), str(site["app_media_path"]))]


def _store(site, hidden):
    """It is made the application's, served to everybody, and cleared of what no release has."""
    store, root = site["app_static_store"], site["app_root"]
    if not matches(PLACE, store):
        yield f"app_static_store is {told(store)}: {GIVE_PLACE}, best {root}/static."
    elif place := whose_place(store, root, hidden=hidden):
        yield f"app_static_store is '{store}', and {place}: give a folder of its own, best {root}/static."
    elif "app_static_store" in site.given:
        for name, path, there in _shared(site):
            if meet(store, there):
                yield f"app_static_store is '{store}', which meets {path} of {name}: give a folder that is nothing else, best {root}/static."


def _media(site, hidden):
    media, path, root = str(site["app_media_root"]), site["app_media_path"], site["app_root"]
    if not _is_folder(media):
        yield f"app_media_root is '{media}': {GIVE_FOLDER}."
        return
    said = f"app_media_path is {told(path)}" if "app_media_path" in site.given else f"app_media_root is '{media}'"
    # Releases are removed with all that is in them, as are static files that no release has. Where it is the store that was given, that is told.
    store = "" if "app_static_store" in site.given else site["app_static_store"]
    if not matches(f"{PLACE}/?", path):
        yield f"{said}: {GIVE_PLACE}, or leave it out."
    elif place := whose_place(path, root, store, hidden):
        yield f"{said}, and {place}: give a folder of its own, best one below {root}/shared."


def _static_root(site, hidden):
    """What is collected is published, and is handed over to the application; what is uploaded is neither."""
    root = str(site["app_static_root"])
    if not _is_folder(root):
        yield f"app_static_root is '{root}': {GIVE_FOLDER}."
        return
    if root.startswith("/") and (place := whose_place(root, site["app_root"], hidden=hidden)):
        yield f"app_static_root is '{root}', and {place}: give a folder of its own, best one inside the release, as a relative path."
    for name in ("app_media_root", "app_shared_paths"):
        if meeting := [path for owner, path, there in _shared(site) if owner == name and meet(root, there if root.startswith("/") else path)]:
            yield f"app_static_root is '{root}', which meets {listed(meeting)} of {name}: let static files be collected into a folder that is nothing else."


def _of_roles(site, hidden):
    """Their directories get owner and mode, and what lies in them is replaced; units read it."""
    for name in (*DIRECTORIES, *FILES):
        if name not in site.given:
            continue
        path = site[name]
        folder = path if name in DIRECTORIES else posixpath.dirname(str(path))
        if not matches(PLACE, path):
            yield f"{name} is {told(path)}: {GIVE_PLACE}."
        elif name in DIRECTORIES + FOLDERS_OF_FILES and (place := holds_of_system(folder)):
            yield f"{name} is '{path}', and {place} is the system's, whose owner and mode would be changed: give a folder of its own."
        elif name not in OF_NO_UNIT and (why := why_unseen(path, hidden and _is_read_without_homes(site, name))):
            yield f"{name} is '{path}', and {why}: give a place elsewhere."


def _is_read_without_homes(site, name):
    """Return whether a unit that has the sandbox of all services reads what a variable names."""
    return name not in SEEN_AT_HOME or name == "app_release_log" and bool(site["app_logs_hosts"])
