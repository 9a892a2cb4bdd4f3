"""Runs that are killed at any moment end, when their command is given again, as if they had not been."""

import os
import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "kill_test.py"


def test_ten_kills_change_no_bit(tmp_path):
    words = ["--quick", "--kills=10", "--at-once=2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *words], env=environment, capture_output=True, text=True, check=False
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    last = re.fullmatch(r"10 kills, (\d+) runs that ended, (\d+) of them identical to .*", done.stdout.splitlines()[-1])
    assert last is not None
    assert last[1] == last[2]
    for moment in ("at random", "checkpoint was written", "two networks", "into the store", "tables were written"):
        assert sum(line.startswith("kill ") and moment in line for line in done.stdout.splitlines()) == 2
