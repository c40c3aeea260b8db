"""Every language of the pages is complete, and what the program reads is what translators see."""

import re
import subprocess
import sys

from orchestrator.web.language import IN_SCRIPTS
from tests.support.charts import ROOT


def test_the_catalogues_hold_what_the_pages_say() -> None:
    command = [sys.executable, ".ci/language.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_the_scripts_say_is_there_to_be_translated() -> None:
    scripts = "".join(one.read_text(encoding="utf-8") for one in ROOT.glob("orchestrator/web/static/*.js"))
    said = [text for call in re.findall(r"say\((.*)\)", scripts) for text in re.findall(r'"([^"]+)"', call)]
    said += re.findall(r'"(%\(n\)s [^"]+)"', scripts)
    assert set(said) - {"%(n)s"} == set(IN_SCRIPTS)
