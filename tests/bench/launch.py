"""Runs a command and writes what it used: `launch.py FILE COMMAND...`.

A small process of its own, because the system counts the largest memory of a process from before it became another program: started by a large
one, the command would be told as large as that.
"""

import json
import os
import subprocess
import sys
import time

start = time.perf_counter()
process = subprocess.Popen(sys.argv[2:])
_, code, usage = os.wait4(process.pid, 0)
process.returncode = os.waitstatus_to_exitcode(code)
with open(sys.argv[1], "w") as file:
    scale = 1 if sys.platform == "darwin" else 1024
    cpu_s = usage.ru_utime + usage.ru_stime
    json.dump({"wall_s": time.perf_counter() - start, "cpu_s": cpu_s, "rss_mb": usage.ru_maxrss * scale / 1e6}, file)
sys.exit(process.returncode)
