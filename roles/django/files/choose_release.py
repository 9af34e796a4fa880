"""Print the release to go back to: `choose_release.py ROOT [WANTED...]`.

WANTED is a release, the beginning of a revision, or a version; the first word that fits decides, and of several releases that fit
the last that served. Without a word, the release that was replaced by the current one. A release without its record never served.
"""

import json
import os
import pathlib
import sys


def choose(root, *wanted):
    """Return the id of the release, or raise LookupError with a sentence."""
    root = pathlib.Path(root)
    if not (root / "current").exists():
        raise LookupError("No release serves here: deploy one first.")
    current = pathlib.Path(os.readlink(root / "current")).name
    paths = sorted(root.glob("releases/*/release.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    records = {path.parent.name: json.loads(path.read_text()) for path in paths}
    kept = "; ".join(f"{name} ({record['version']})" for name, record in records.items() if name != current) or "none"
    if not wanted:
        previous = records.get(current, {}).get("previous")
        if previous not in records:
            raise LookupError(f"The release before {current} is not there any more; name one with -e rollback_to=RELEASE. Kept: {kept}.")
        return previous
    for word in wanted:
        fitting = [
            name
            for name, record in records.items()
            if word in (name, record["version"]) or (len(word) >= 7 and record["revision"].startswith(word))
        ]
        if fitting:
            return next((name for name in fitting if name == word or name != current), current)
    raise LookupError(f"rollback_to is {wanted[0]}, which is no release that is kept here. Kept: {kept}.")


if __name__ == "__main__":
    try:
        print(choose(*filter(None, sys.argv[1:])))
    except LookupError as error:
        sys.exit(str(error))
