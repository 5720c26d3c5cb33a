import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))

from fixtures import far, folder, fresh, judge  # noqa: E402, F401
