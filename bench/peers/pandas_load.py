"""pandas: reads fer2013.csv into uint8 [n,48,48,1] and labels; a step reads the whole file."""

import contest

MODES = ("c", "pyarrow")
args = contest.arguments(__doc__, dtypes=("u8",), modes=MODES)
if not args.data:
    raise SystemExit("--data fer2013.csv is missing")

import numpy as np
import pandas as pd


def load(engine):
    table = pd.read_csv(args.data, engine=engine)
    return contest.pixels(table), table["emotion"].to_numpy(np.int64)


args.batch = len(load("c")[0])  # a step reads all images of the file
contest.serve(
    args,
    f"pandas {pd.__version__} numpy {np.__version__}",
    {"c": lambda: lambda: load("c"), "pyarrow": lambda: lambda: load("pyarrow")},
)
