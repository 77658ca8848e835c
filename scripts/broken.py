#!/usr/bin/env python3
"""Breaks the code once in each way of broken.toml, and sees that the test named there fails.

    scripts/broken.py [--only WORDS]

Works in a copy of the tracked files under target/broken, which keeps what it compiled. A break that does not fit the code
any more, does not compile, or is not noticed, is an error.
"""

import argparse
import os
import pathlib
import signal
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
COPY = ROOT / "target" / "broken" / "tree"
# These tests take seconds.
PATIENCE_S = 300
# The core compiles in half the time without optimisation, and these tests are short.
LEAN = ["--config", "profile.dev.package.mainframe-core.opt-level=1"]


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--only", default="", help="only breaks whose description contains these words")
    only = options.parse_args().only
    breaks = tomllib.loads((ROOT / "scripts" / "broken.toml").read_text())["break"]
    breaks = [one for one in breaks if only in one["what"]]
    copy_tree()
    print(f"→ {len(breaks)} breaks; first everything as it is", flush=True)
    for test in sorted({one["test"] for one in breaks}):
        if not passes(test):
            sys.exit(f"error: {test} fails as it is")
    unnoticed = [one for one in breaks if not is_noticed(one)]
    for one in unnoticed:
        print(f"error: not noticed: {one['what']} ({one['test']})")
    if unnoticed:
        sys.exit(1)
    print("→ all noticed")


def copy_tree():
    COPY.mkdir(parents=True, exist_ok=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        source, target = ROOT / name, COPY / name
        if source.is_file() and (not target.exists() or target.read_bytes() != source.read_bytes()):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())


def is_noticed(one):
    path = COPY / one["file"]
    whole = path.read_text()
    if whole.count(one["from"]) != 1:
        sys.exit(f"error: {one['what']}: {one['file']} does not contain this once: {one['from']}")
    path.write_text(whole.replace(one["from"], one["to"]))
    try:
        noticed = not passes(one["test"])
    finally:
        path.write_text(whole)
    print(f"  {'noticed' if noticed else 'NOT noticed'}: {one['what']}", flush=True)
    return noticed


def passes(test):
    """Whether a test of the core passes in the copy. Exits if it cannot be built, or there is none of this name."""
    words = ["cargo", "test", "--locked", "-p", "mainframe-core", "--lib", *LEAN]
    target = {**os.environ, "CARGO_TARGET_DIR": str(COPY.parent / "target"), "RUSTFLAGS": "-A warnings"}
    built = subprocess.run([*words, "--no-run"], cwd=COPY, env=target, capture_output=True, text=True)
    if built.returncode:
        sys.exit(f"error: it does not compile:\n{built.stderr}")
    ran = subprocess.Popen(
        [*words, "--", test], cwd=COPY, env=target, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    )
    try:
        said, _ = ran.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        sys.exit(f"error: {test} ran for {PATIENCE_S} s")
    finally:
        if ran.poll() is None:
            os.killpg(ran.pid, signal.SIGKILL)
    if "running 1 test" not in said:
        sys.exit(f"error: there is no test {test}")
    return ran.returncode == 0


if __name__ == "__main__":
    main()
