#!/usr/bin/env python3
"""Are all the crates we build on under licences we may pass on?

Reads `cargo tree`, which lists what is really compiled, and holds every SPDX expression against a list of permissive
licences. Exits 1 if one does not pass. Uses nothing but Python's standard library.
"""

import re
import subprocess
import sys

ALLOWED = {
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-1-Clause", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0",
    "CC0-1.0", "CDLA-Permissive-2.0", "ISC", "MIT", "MIT-0", "Unicode-3.0", "Unlicense", "Zlib",
}


def passes(expression):
    """Whether a choice of licences exists that is allowed: AND needs both sides, OR one."""
    tokens = re.findall(r"\(|\)|[^\s()/]+|/", expression)
    position = 0

    def peek():
        return tokens[position] if position < len(tokens) else None

    def take():
        nonlocal position
        position += 1
        return tokens[position - 1]

    def either():
        result = both()
        while peek() in ("OR", "/"):  # the slash is how crates wrote OR before SPDX
            take()
            result = both() or result
        return result

    def both():
        result = single()
        while peek() == "AND":
            take()
            result = single() and result
        return result

    def single():
        if peek() == "(":
            take()
            result = either()
            assert take() == ")", f"unbalanced: {expression}"
            return result
        name = take()
        if peek() == "WITH":
            take()
            name = f"{name} WITH {take()}"
        return name in ALLOWED

    result = either()
    assert position == len(tokens), f"cannot read {expression!r}"
    return result


def self_test():
    for good in ("MIT", "GPL-2.0 OR MIT", "MIT/Apache-2.0", "(MIT OR Apache-2.0) AND Unicode-3.0",
                 "Apache-2.0 WITH LLVM-exception"):
        assert passes(good), good
    for bad in ("GPL-3.0-only", "MIT AND GPL-2.0", "AGPL-3.0", "(MIT AND LGPL-2.1) OR SSPL-1.0"):
        assert not passes(bad), bad


def main():
    self_test()
    command = ["cargo", "tree", "--locked", "--workspace", "--edges", "normal,build,dev", "--prefix", "none", "--format", "{p}|{l}"]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    crates = {tuple(line.split("|")) for line in lines if "|" in line}
    refused = sorted(f"{name}: {licence or 'no licence named'}" for name, licence in crates
                     if not (licence and passes(licence.removesuffix(" (*)"))))
    for line in refused:
        print(f"not permissive: {line}", file=sys.stderr)
    if refused:
        sys.exit(1)
    print(f"licences: {len({name for name, _ in crates})} crates, all permissive")


main()
