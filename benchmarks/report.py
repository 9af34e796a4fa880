"""What is made of measurements: medians, ratios, a table. Pure functions."""

import re
import statistics

# More of these is better; of everything else, less.
RATES = {"requests/s", "transactions/s"}

MILLISECONDS = {"us": 0.001, "ms": 1, "s": 1000, "m": 60000}

TITLES = {
    "a": "First converge of a bare host",
    "b": "Runs with nothing to do",
    "c": "Deploy of a changed commit",
    "d": "1, 2, 4, 8 hosts",
    "e": "Served over HTTPS",
    "f": "PostgreSQL",
    "g": "Backup and restore",
    "h": "PostgreSQL under Patroni",
}

HEAD = """\
# What was measured

Made by `make bench`; [README.md](README.md) says how. **Only the ratios are claims**: client, controller and hosts share the {cores} cores of
this machine, so that each figure would be another one elsewhere, and both sides of a ratio were measured in turn in one run. Each figure is
a median; how many runs, when, and at which load (of one minute, before and after) stands above its table. Of seconds and milliseconds a
ratio below 1 is better, of rates ({rates}) one above 1.

![The figures as a plot](results.svg)
"""


def median(samples):
    """Return the median of numbers, or None of none."""
    return statistics.median(samples) if samples else None


def ratio(ours, beside):
    """Return ours / beside, or None where one of them is missing or there is nothing to divide by."""
    return ours / beside if ours is not None and beside else None


def row(name, ours, unit, beside=(), against=""):
    """Return one line of the results.

    `ours` and `beside` are the figures of all runs, in `unit`; `against` says what is beside. The figures stay in the row, as `samples`.
    """
    ours, beside = list(ours), list(beside)
    return {
        "name": name, "ours": median(ours), "beside": median(beside), "ratio": ratio(median(ours), median(beside)), "unit": unit,
        "against": against, "samples": [ours, beside],
    }  # fmt: skip


def read_wrk(output):
    """Return (requests in a second, milliseconds of the 99th percentile) of what wrk printed.

    Raises ValueError where an answer was a bad one, and where there was none.
    """
    if bad := re.search(r"Non-2xx.*|Socket errors: .*|^ +0 requests in .*", output, re.MULTILINE):
        raise ValueError(f"wrk: {bad[0].strip()}")
    value, unit = re.search(r"99%\s+([\d.]+)([a-z]+)", output).groups()
    return float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1]), float(value) * MILLISECONDS[unit]


def number(value):
    """Return a figure as it stands in a table: three digits that count, no more than two behind the point."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}".removesuffix(".00")


def table(rows):
    """Return rows as a Markdown table."""
    lines = ["| what | ours | beside | ratio | unit | beside it |", "|---|---:|---:|---:|---|---|"]
    for line in rows:
        share = f"**{line['ratio']:.2f}**" if line["ratio"] is not None else "–"
        cells = [line["name"], number(line["ours"]), number(line["beside"]), share, line["unit"], line["against"]]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def part(letter, result):
    """Return the section of one part: its table, or why there is none."""
    said = (
        f"{result['date']}, revision {result['revision']}, median of {result['runs']}, load {result['load'][0]:.1f} to {result['load'][1]:.1f}, "
        f"{result['seconds'] / 60:.1f} minutes"
    )
    if result["scale"] != 1:
        said += f"; a trial at scale {result['scale']:g}, which shows nothing"
    body = f"**Failed**, so there are no figures: {result['error']}" if result.get("error") else table(result["rows"])
    return f"## {letter}. {TITLES[letter]}\n\n{said}.\n\n{body}\n"


def document(results):
    """Return RESULTS.md: results are {"machine": {name: text}, "parts": {letter: result}}."""
    machine = results["machine"]
    facts = "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in machine.items())])
    head = HEAD.format(cores=machine.get("cores", "few"), rates=", ".join(sorted(RATES)))
    return "\n".join([head, *(part(letter, result) for letter, result in sorted(results["parts"].items())), "## Machine and versions\n", facts, ""])
