"""Where samples of other people's payloads lie, if they are there at all."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[3]
FIXTURES = ROOT / "tests" / "fixtures"
SAMPLES = Path(os.environ.get("PERMINUTE_SAMPLES", ROOT.parent / "shared" / "samples"))
