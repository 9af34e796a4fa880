"""Static files of the releases, and the store of all of them from which the web server serves.

static_files.py collect SAID STATIC_ROOT FILES STORE [OTHER...]   copy what a release collected, compress it, add the names that the store lacks
static_files.py publish FILES STORE                               let the store have what a release has, also under names that it has already
static_files.py prune STORE RELEASES [ROOT...]                    remove from the store what no release has

SAID is the last line of `collectstatic`, empty where a project commits what it built.
FILES is a release's own copy and never changes afterwards: a release that comes back brings the content of its plain names
(those without a hash) with it. Equal content is one file on the disk, by hard links. A name in the store changes by an atomic rename.
"""

import collections
import contextlib
import gzip
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

# Text, and what is as loose; images, woff fonts, sound and video are compressed already.
SUFFIXES = {
    ".css", ".csv", ".eot", ".geojson", ".htm", ".html", ".ico", ".js", ".json", ".map", ".md", ".mjs", ".otf", ".svg", ".ttf",
    ".txt", ".wasm", ".webmanifest", ".xml",
}  # fmt: skip
ENCODINGS = (".br", ".gz")
# What fits a single packet arrives no sooner.
LEAST_BYTES = 1024
# The gain that pays: a twentieth, as in WhiteNoise's compressor.
LARGEST_RATIO = 0.95
# The last of brotli's levels, 11, takes twice the time for two bytes less in a hundred.
BROTLI_QUALITY = 10

# Ways through links by which one folder is reached at most: of a few links that lead to each other there are more than anybody can go.
MOST_LINKS = 16

# What Django says of it. A storage that keeps nothing on this host has no place to name.
SAID = re.compile(r"(?P<new>\d+) static files? (?:copied|symlinked)(?: to '(?P<place>.+?)')?(?P<more>(?:, \d+ [a-z -]+)*)\.")


def what_was_kept(said, root):
    """Return the directory with what Django collected, None where that is nothing; SystemExit says in a sentence why it is not STATIC_ROOT.

    A folder of sources that has the name must not be published in the place of what was collected.
    """
    found = SAID.fullmatch(said.strip())
    place, is_some = (found["place"], re.search("[1-9]", found["new"] + found["more"])) if found else (root, True)
    if place and pathlib.Path(place).resolve().is_relative_to(root.resolve()) and root.is_dir():
        return root
    if not is_some:
        return None
    if not place:
        sys.exit("Django's storage of static files keeps nothing on this host: set app_static_served_by to elsewhere.")
    collected = "nothing was collected" if place == root else f"the application collected into {place}"
    sys.exit(f"app_static_root is {root}, and {collected}: give the STATIC_ROOT of the application.")


def below(directory, linked=False):
    """Yield the name and the entry of all that is below a directory; with `linked`, links to folders are followed, and an entry is what its link leads to.

    What cannot be looked into is left out. It is no call within a call, which ends where somebody has put a thousand folders one in another.
    """
    waiting, ways = collections.deque([("", False)]), collections.Counter()
    while waiting:
        folder, by_link = waiting.popleft()
        try:
            entries = sorted(os.scandir(os.path.join(directory, folder)), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            name = os.path.join(folder, entry.name)
            yield name, entry
            if is_kind(entry.is_dir, linked):
                through, found = by_link or entry.is_symlink(), entry.stat(follow_symlinks=linked)
                ways[found.st_dev, found.st_ino] += through
                if not through or ways[found.st_dev, found.st_ino] <= MOST_LINKS:
                    waiting.append((name, through))


def is_kind(question, linked):
    """Return what an entry says of itself; a link that leads round in circles is neither folder nor file."""
    try:
        return question(follow_symlinks=linked)
    except OSError:
        return False


def names(directory, linked=False):
    """Return the names of all files below a directory. In STATIC_ROOT (`linked`) a link may stand for a file or a folder, in what is made of it none does."""
    return {name for name, entry in below(directory, linked) if is_kind(entry.is_file, linked)}


def content(file):
    """Return what two files have in common that are compressed alike; nothing for a file that is not there."""
    try:
        return file.suffix.lower(), hashlib.sha256(file.read_bytes()).digest()
    except FileNotFoundError:
        return None


def same(one, other):
    return (one.exists() and other.exists() and one.samefile(other)) or content(one) == content(other)


def variants(file):
    """Return the names that the compressed forms of a file have, if it has any."""
    return [file.with_name(file.name + encoding) for encoding in ENCODINGS]


def is_variant(name, present):
    base, suffix = os.path.splitext(name)
    return suffix in ENCODINGS and base in present


def put(source, target):
    """Let a name be this file, from one moment to the next."""
    new = target.with_name(f".{target.name}.new")
    target.parent.mkdir(parents=True, exist_ok=True)
    new.unlink(missing_ok=True)
    try:
        os.link(source, new)
    except OSError:
        # Another file system, or one without links.
        shutil.copy2(source, new)
    os.replace(new, target)
    # A rename between two names of one file does nothing.
    new.unlink(missing_ok=True)


def compress(file):
    """Write the compressed forms of a file that pay, beside those that the project brought. Return how many were made."""
    import brotli

    if file.suffix.lower() not in SUFFIXES or file.stat().st_size < LEAST_BYTES:
        return 0
    plain, times, made = file.read_bytes(), file.stat(), 0
    for variant in variants(file):
        if not variant.exists():
            packed = brotli.compress(plain, quality=BROTLI_QUALITY) if variant.suffix == ".br" else gzip.compress(plain, 9, mtime=0)
            if len(packed) <= len(plain) * LARGEST_RATIO:
                variant.write_bytes(packed)
                # The web server tells the age of the file that it sends.
                os.utime(variant, ns=(times.st_atime_ns, times.st_mtime_ns))
                made += 1
    return made


def place(files, store, name):
    """Let the store have a file of the release in all its forms. Nobody is served the file in one content and its compressed form in another."""
    file, served = files / name, store / name
    changed = not same(file, served)
    for variant in variants(served):
        if changed or not (file.parent / variant.name).exists():
            variant.unlink(missing_ok=True)
    if changed:
        put(file, served)
    for variant in variants(file):
        target = served.parent / variant.name
        if variant.exists() and not same(variant, target):
            put(variant, target)
            changed = True
    return changed


def collect(said, root, files, store, *others):
    root = what_was_kept(said, root)
    # The directory itself is not ours to make.
    files.mkdir(exist_ok=True)
    for path in files.iterdir():
        # However deep it is, which Python does not go.
        subprocess.run(["rm", "--recursive", "--force", "--", path], check=True)
    collected = names(root, linked=True) if root else set()
    known = {content(other / name): other / name for other in others for name in names(other)}
    origins, new = {}, []
    for name in sorted(collected):
        target, key = files / name, content(root / name)
        if key in known:
            origins[target] = known[key]
            put(known[key], target)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, target)
            known[key] = target
            if not is_variant(name, collected):
                new.append(target)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        # The largest first, so that no processor is left with it at the end.
        compressed = sum(pool.map(compress, sorted(new, key=lambda file: file.stat().st_size, reverse=True)))
    for target, origin in origins.items():
        for form, variant in zip(variants(origin), variants(target)):
            if form.exists() and not variant.exists():
                put(form, variant)
    present = names(files)
    # A name that is there belongs to the release that serves, until another one takes over.
    added = [name for name in present if not is_variant(name, present) and not (store / name).exists() and place(files, store, name)]
    return {"files": len(collected), "compressed": compressed, "added": len(added)}


def publish(files, store):
    present = names(files)
    return {"changed": sorted(name for name in present if not is_variant(name, present) and place(files, store, name))}


def prune(store, releases, *roots):
    owned = [release / "static" for release in releases.iterdir()]
    removed = []
    # A release whose files are not known may have any of them.
    if owned and all(files.is_dir() for files in owned):
        kept = set().union(*map(names, owned), *(names(root, linked=True) for root in roots))
        found = {name: entry.is_dir(follow_symlinks=False) for name, entry in below(store)}
        # A compressed form goes before its file, for whoever is killed in between.
        removed = sorted({name for name in found if not found[name]} - kept, reverse=True)
        for name in removed:
            (store / name).unlink()
        # The inner ones first.
        for name in reversed([name for name in found if found[name]]):
            with contextlib.suppress(OSError):
                os.rmdir(store / name)
    return {"removed": removed}


if __name__ == "__main__":
    os.umask(0o022)
    commands = {"collect": collect, "publish": publish, "prune": prune}
    command, *arguments = sys.argv[1:]
    said = [arguments.pop(0)] if command == "collect" else []
    print(json.dumps(commands[command](*said, *map(pathlib.Path, arguments))))
