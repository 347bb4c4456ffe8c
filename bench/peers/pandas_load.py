"""pandas' way from fer2013.csv to bytes [n,48,48,1] and labels; a step reads the whole file."""

import contest

MODES = ("c", "pyarrow")
args = contest.arguments(__doc__, dtypes=("u8",), modes=MODES)
if not args.data:
    raise SystemExit("name the file: --data fer2013.csv")

import numpy as np
import pandas as pd


def load(engine):
    table = pd.read_csv(args.data, engine=engine)
    return contest.pixels(table), table["emotion"].to_numpy(np.int64)


args.batch = len(load("c")[0])  # a step is all images of the file
contest.serve(
    args,
    f"pandas {pd.__version__} numpy {np.__version__}",
    {"c": lambda: lambda: load("c"), "pyarrow": lambda: lambda: load("pyarrow")},
)
