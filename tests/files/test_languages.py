"""Every language of the pages is complete, and what the program reads is what translators see."""

import subprocess
import sys


def test_the_catalogues_hold_what_the_pages_say() -> None:
    command = [sys.executable, ".ci/language.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
