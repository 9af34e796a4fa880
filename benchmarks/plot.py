"""The results as a picture of four panels: seconds, roles, hosts, ratios."""

import report

OURS, BESIDE = "#2a6f97", "#c9ced6"


def draw(results, directory):
    """Write results.svg and results.png; what was not measured is an empty panel."""
    import matplotlib

    matplotlib.use("Agg")
    # The same results give the same file.
    matplotlib.rcParams |= {"svg.hashsalt": "bench", "font.size": 8, "axes.spines.top": False, "axes.spines.right": False}
    from matplotlib import pyplot

    rows = {letter: result.get("rows", []) for letter, result in results["parts"].items()}
    figure, ((seconds, roles), (hosts, ratios)) = pyplot.subplots(2, 2, figsize=(12, 11), layout="constrained")
    draw_pairs(seconds, [line for letter in "acbg" for line in rows.get(letter, []) if line["unit"] == "s" and line["beside"]])
    draw_roles(roles, [line for line in rows.get("b", []) if line["name"].startswith("site.yml, role")])
    draw_hosts(hosts, rows.get("d", []))
    draw_ratios(ratios, [line for letter in "efh" for line in rows.get(letter, []) if line["unit"] in report.RATES and line["ratio"]])
    for axes in (seconds, roles, hosts, ratios):
        if not axes.has_data():
            axes.text(0.5, 0.5, "not measured", ha="center", transform=axes.transAxes)
    figure.savefig(directory / "results.svg", metadata={"Date": None})
    figure.savefig(directory / "results.png", dpi=110)
    pyplot.close(figure)


def draw_pairs(axes, lines):
    axes.set_title("Seconds, beside the floor (less is better)")
    places = range(len(lines))
    axes.barh([place - 0.2 for place in places], [line["ours"] for line in lines], 0.4, color=OURS, label="ours")
    axes.barh([place + 0.2 for place in places], [line["beside"] for line in lines], 0.4, color=BESIDE, label="beside")
    axes.set_yticks(places, [f"{line['name']}\n({line['against']})" for line in lines])
    axes.invert_yaxis()
    if lines:
        axes.legend()


def draw_roles(axes, lines):
    lines = sorted(lines, key=lambda line: line["ours"])
    axes.set_title("Second run of site.yml: seconds of each role")
    axes.barh([line["name"].removeprefix("site.yml, role ") for line in lines], [line["ours"] for line in lines], color=OURS)


def draw_hosts(axes, lines):
    axes.set_title("Seconds by number of hosts")
    for name in dict.fromkeys(line["name"].split(", ")[0] for line in lines):
        points = [(int(line["name"].split(", ")[1].split()[0]), line["ours"]) for line in lines if line["name"].startswith(f"{name}, ")]
        axes.plot(*zip(*points, strict=True), marker="o", label=name)
    if lines:
        axes.set_xticks([1, 2, 4, 8])
        axes.set_ylim(bottom=0)
        axes.legend()


def draw_ratios(axes, lines):
    axes.set_title("Rates, ours / beside (more than 1 is better)")
    axes.scatter([line["ratio"] for line in lines], range(len(lines)), 14, color=OURS)
    if lines:
        axes.axvline(1, color="black", linewidth=0.6)
    axes.set_yticks(range(len(lines)), [f"{line['name']} / {line['against']}" for line in lines], fontsize=5)
    axes.invert_yaxis()
