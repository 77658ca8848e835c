#!/usr/bin/env python3
"""Plays every run of measurements.toml and writes what came out to docs/measurements.md, with its pictures.

Reports are kept in target/measure; those that are there already and were made by the same commit are not played again, so
it may be interrupted at any moment. With --check nothing is written: the new figures are compared with the page as it
stands, apart from time, memory, machine and date, which are its only noise: everything else follows from seeds.
Uses nothing but Python's standard library.
"""

import argparse
import datetime
import json
import os
import platform
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLAN = ROOT / "scripts" / "measurements.toml"
PAGE = ROOT / "docs" / "measurements.md"
PICTURES = ROOT / "docs" / "pictures"
SIM = ROOT / "target" / "release" / "sim"
NOISE = re.compile(r"^(?:Measured |\| time|.*took ).*$", re.MULTILINE)
OPERATORS = {
    "<=": lambda value, bound: value <= bound,
    ">=": lambda value, bound: value >= bound,
    "<": lambda value, bound: value < bound,
    "==": lambda value, bound: value == bound,
}


def run(*words, **options):
    return subprocess.run([str(word) for word in words], cwd=ROOT, check=True, **options)


def output(*words):
    return subprocess.run([str(word) for word in words], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def wanted(plan):
    runs = [entry["words"] for section in plan["section"] for entry in section["run"]]
    return list(dict.fromkeys(runs + [words for picture in plan["picture"] for words in picture["runs"]]))


def play(plan, folder, jobs):
    """Plays what is missing."""
    suite = folder / "suite.txt"
    suite.write_text("".join(f"{words}\n" for words in wanted(plan) if not words.startswith("compare")))
    run(SIM, "suite", suite, "--out", folder, "--jobs", jobs)
    for words in wanted(plan):
        if words.startswith("compare") and words not in played(folder):
            compare(words, folder)


def played(folder):
    """Every report and where it lies, by the words that were played."""
    reports = {}
    for path in sorted(folder.glob("*.json")):
        report = json.loads(path.read_text())
        reports[report["arguments"]] = (path, report)
    return reports


def compare(words, folder):
    """A comparison whose self-checks fail is no result."""
    path = folder / (re.sub(r"[^a-z0-9.]+", "-", words) + ".json")
    report = json.loads(output(SIM, *words.split(), "--json"))
    report["arguments"] = words
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(report) + "\n")
    unfinished.rename(path)


def figure(value):
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(figure(one) for one in value)
    if isinstance(value, float):
        return f"{value:.4f}".rstrip("0").rstrip(".") if abs(value) < 100 else f"{value:.0f}"
    return str(value)


def found(report, path):
    """What stands at a path such as `intersection.resident.2.held`, if anything does."""
    for step in path.split("."):
        if isinstance(report, list):
            report = report[int(step)] if int(step) < len(report) else None
        else:
            report = report.get(step) if isinstance(report, dict) else None
    return report


def judge(promise, report):
    """What is promised, the figure, and whether it holds."""
    words = promise.split()
    if words[1] == "~":
        one, other, bound = report[words[0]], report[words[2]], float(words[3])
        return f"`{words[0]}` within {bound} of `{words[2]}`", f"{figure(one)}, {figure(other)}", abs(one - other) <= bound
    key, operator, bound = words[0], words[1], json.loads(words[2])
    value = report.get(key)
    holds = value is not None and OPERATORS[operator](value, bound)
    return f"`{key}` {operator.replace('<=', '≤').replace('>=', '≥').replace('==', '=')} {figure(bound)}", figure(value), holds


def write_run(entry, section, report, lines, broken):
    lines += [f"`sim {'run ' if not entry['words'].startswith('compare') else ''}{entry['words']}`", ""]
    if entry["words"].startswith("compare"):
        return write_comparison(report, lines, broken)
    lines += ["| | measured | |", "|---|---|---|"]
    for promise in section.get("holds", []) + entry.get("holds", []):
        text, value, holds = judge(promise, report)
        lines.append(f"| {text} | {value} | {'holds' if holds else '**does not hold**'} |")
        broken += [] if holds else [f"{entry['words']}: {text}, measured {value}"]
    for shown in section.get("shows", []):
        name, _, path = shown.partition(": ")
        value = found(report, path or name)
        if value is not None:
            lines.append(f"| {name if path else f'`{name}`'} | {figure(value)} | |")
    lines += [f"| time, memory | {report['wall_s']:.0f} s, {report['peak_mb']:,} MB | |", ""]


def write_comparison(report, lines, broken):
    for part, title in (("honest", "all honest"), ("among_droppers", "10 % silent droppers")):
        lines += [f"| {title} | coverage | payloads | bytes | ms p50 | ms p99 | payloads ÷ ours |", "|---|---|---|---|---|---|---|"]
        ours = report[part]["ours"]["payload_per_region_node"]
        for name, of in sorted(report[part].items(), key=lambda item: item[1]["payload_per_region_node"]):
            keys = ("coverage_mean", "payload_per_region_node", "bytes_per_region_node", "latency_ms_p50", "latency_ms_p99")
            lines.append(f"| {name} | " + " | ".join(figure(of[key]) for key in keys)
                         + f" | {figure(of['payload_per_region_node'] / ours)} |")
        lines.append("")
    failed = [check["name"] for check in report["self_checks"] if not check["pass"]]
    lines += [f"Self-checks: {len(report['self_checks']) - len(failed)} of {len(report['self_checks'])} pass.", ""]
    broken += [f"self-check {name}" for name in failed]
    for bar in report["bars"]:
        text = f"{bar['than']} ({bar['part'].replace('_', ' ')}) needs at least {figure(bar['payload_over_ours_min'])} times our payloads"
        lines.append(f"- {text}: {figure(bar['payload_over_ours'])}, {'holds' if bar['met'] else '**does not hold**'}")
        broken += [] if bar["met"] else [text]
    lines += ["", f"It took {report['wall_s']:.0f} s and {report['peak_mb']:,} MB.", ""]


def page(plan, reports):
    broken = []
    lines = ["# Measurements", "", "What the simulator shows of the network's promises. Written by `make measure`; every run can be repeated by itself with the words above its",
             "table (`cargo run --release --bin sim -- …`), and gives the same figures on any machine, but for time and memory.", "",
             "What processes, sockets and disks show stands in [measurements of real nodes](measurements-nodes.md).", "",
             f"Measured {datetime.date.today().isoformat()} on {platform.machine()} with {os.cpu_count()} processors.", ""]
    for picture in plan["picture"]:
        if all(words in reports for words in picture["runs"]):
            lines.append(f"![{picture['name']}](pictures/{picture['name']}.svg)")
    lines.append("")
    for section in plan["section"]:
        lines += [f"## {section['title']}", "", section["says"], ""]
        for entry in section["run"]:
            if entry["words"] in reports:
                write_run(entry, section, reports[entry["words"]][1], lines, broken)
            else:
                lines += [f"`{entry['words']}`: not played yet.", ""]
                broken.append(f"{entry['words']}: not played yet")
    return "\n".join(lines), broken


def draw(plan, reports):
    for picture in plan["picture"]:
        if all(words in reports for words in picture["runs"]):
            paths = [reports[words][0] for words in picture["runs"]]
            run(SIM, "plot", picture["name"], "--in", *paths, "--out", PICTURES / f"{picture['name']}.svg")


def main():
    parser = argparse.ArgumentParser(description="Plays the measurements and writes docs/measurements.md.")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time; one of 10,000 relays takes about 4 GB")
    parser.add_argument("--check", action="store_true", help="compare with the page as it stands, write nothing")
    parser.add_argument("--played", action="store_true", help="play nothing more, write what there is and what is missing")
    arguments = parser.parse_args()
    plan = tomllib.loads(PLAN.read_text())
    folder = ROOT / "target" / "measure" / output("git", "log", "-1", "--format=%h", "--", "crates/core", "crates/base", "crates/sim")
    folder.mkdir(parents=True, exist_ok=True)
    if not arguments.played:
        play(plan, folder, arguments.jobs)
    reports = played(folder)
    text, broken = page(plan, reports)
    if arguments.check:
        same = NOISE.sub("", text) == NOISE.sub("", PAGE.read_text())
        print("→ the figures are those of the page" if same else "→ the figures differ from docs/measurements.md")
        return 0 if same else 1
    PAGE.write_text(text)
    draw(plan, reports)
    print(f"→ wrote {PAGE.relative_to(ROOT)}")
    for promise in broken:
        print(f"  does not hold: {promise}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
