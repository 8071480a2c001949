"""Segment's engine in Node as one more side of an interleaved run, where Node and the package can be had.

Gives a process that maps all events once for each line on its standard input (node_peer.cjs), or a word why there is none. The package is
installed from npm into .bench/node at the first run; its published form needs liquidjs beside it, which it does not declare.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

PACKAGES = ("@segment/actions-core@3.170.0", "@segment/destination-subscriptions@3.37.0", "liquidjs@10")
SCRIPT = Path(__file__).with_name("node_peer.cjs")


class NodePeer:
    """State: the process, warm. Times are the smaller of wall and processor time: the latter counts what the collector's threads do."""

    def __init__(self, home: Path, lines: list[bytes], folder: Path) -> None:
        events = folder / "peer.ndjson"
        events.write_bytes(b"\n".join(lines))
        self._process = subprocess.Popen(
            ["node", str(SCRIPT), str(home), str(events)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(8):
            self.turn()

    def turn(self) -> float:
        """Microseconds an event of one more pass."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        wall, cpu, _ = map(float, self._process.stdout.readline().split())
        return min(wall, cpu)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def installed(home: Path) -> str:
    """ "" when the package is there (installed now, if need be); else why it is not."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "not measured: there is no node and npm here"
    if (home / "node_modules" / "@segment" / "actions-core").is_dir():
        return ""
    home.mkdir(parents=True, exist_ok=True)
    (home / "package.json").write_text('{"private": true}\n', encoding="utf-8")
    words = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", *PACKAGES]
    try:
        done = subprocess.run(words, cwd=home, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        return "not measured: npm did not answer in 120 s"
    return "" if done.returncode == 0 else "not measured: npm cannot install @segment/actions-core here"
