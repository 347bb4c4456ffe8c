"""Make metrics.safetensors: what scikit-learn and SciPy say about made-up predictions.

    pip install numpy==2.4.6 scikit-learn==1.7.2 scipy==1.17.1
    python make_metrics.py

Cases are random scores and degenerate ones. What scikit-learn does not have (calibration error,
temperature, the bootstrap) is computed here by other means than Mien's.
"""

import warnings

import numpy as np
import sklearn
from scipy import optimize, stats
from sklearn import metrics as sk

from golden_io import f32, write_golden

SEED = 20261129
CURVES = 3  # classes of each case whose curves are kept
BINS = 15
RESAMPLES = 20000


def softmax(z):
    """Softmax of rows, rounded to float32 as Mien gets it."""
    e = np.exp(z - z.max(1, keepdims=True))
    return f32(e / e.sum(1, keepdims=True))


def draw(rng, rows, classes, signal):
    """Random labels, and scores that know them a little."""
    labels = rng.integers(0, classes, rows)
    z = rng.normal(size=(rows, classes))
    z[np.arange(rows), labels] += signal
    return softmax(2 * z), labels


def tied(rng, rows, classes):
    """Scores in steps of 1/8: many are equal, within rows and between them."""
    cuts = np.sort(rng.integers(0, 9, (rows, classes - 1)), axis=1)
    edges = np.concatenate([np.zeros((rows, 1), int), cuts, np.full((rows, 1), 8)], axis=1)
    return f32(np.diff(edges, axis=1) / 8), rng.integers(0, classes, rows)


def cases(rng):
    """Name to (probabilities, labels)."""
    random = draw(rng, 390, 7, 1.0)
    absent_p, absent = draw(rng, 200, 7, 1.0)
    absent[absent == 5] = 2  # class 5 never occurs; class 6 is never predicted
    absent_p[:, 6] *= 1e-6
    absent_p = f32(absent_p / absent_p.sum(1, keepdims=True))
    wrong_p, wrong = draw(rng, 150, 5, 1.0)
    wrong = (wrong_p.argmax(1) + 1 + rng.integers(0, 4, 150)) % 5
    one = (f32([[0.125, 0.625, 0.25]]), np.array([1]))
    single = draw(rng, 60, 4, 1.0)[0], np.full(60, 2)  # all labels the same
    return {"random": random, "ties": tied(rng, 300, 4), "absent": (absent_p, absent),
            "wrong": (wrong_p, wrong), "one": one, "single": single,
            "two": draw(rng, 250, 2, 0.5), "hundred": draw(rng, 200, 100, 2.0)}


def row_losses(p, y):
    """Cross-entropy of each row; a probability of 0 counts as 1e-30."""
    return -np.log(np.maximum(p.astype(np.float64)[np.arange(len(y)), y], 1e-30))


def top2(p, y):
    """Is the label among the two best? The lower index goes first among equals."""
    best = np.argsort(-p, axis=1, kind="stable")[:, :2]
    return float((best == y[:, None]).any(1).mean())


def calibration(p, y):
    """Bins of the top confidence [15][n, mean confidence, accuracy], and the error."""
    top = p.max(1)
    at = np.minimum((top * np.float32(BINS)).astype(int), BINS - 1)
    right = p.argmax(1) == y
    rows = []
    for b in range(BINS):
        own = at == b
        empty = not own.any()
        rows.append([own.sum(), np.nan if empty else top[own].astype(np.float64).mean(),
                     np.nan if empty else right[own].mean()])
    bins = np.array(rows, np.float64)
    full = bins[:, 0] > 0
    error = (bins[full, 0] * np.abs(bins[full, 1] - bins[full, 2])).sum() / len(y)
    return bins, float(error)


def recalibration(p, y):
    """The temperature of least cross-entropy, and loss and calibration error at it."""
    z = np.log(np.maximum(p.astype(np.float64), 1e-30))

    def at(t):
        scaled = z / t
        return scaled - np.log(np.exp(scaled).sum(1, keepdims=True))

    loss = lambda log_t: -at(np.exp(log_t))[np.arange(len(y)), y].mean()
    found = optimize.minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded",
                                     options={"xatol": 1e-12})
    q = np.exp(at(np.exp(found.x)))
    return [np.exp(found.x), calibration(f32(q), y)[1], row_losses(q, y).mean()]


def by_class(p, y, classes):
    """[classes][precision, recall, f1, ROC AUC, average precision], NaN where undefined."""
    guess = p.argmax(1)
    out = np.full((classes, 5), np.nan)
    rates = sk.precision_recall_fscore_support(y, guess, labels=range(classes),
                                               zero_division=np.nan)
    out[:, 0], out[:, 1] = rates[0], rates[1]
    out[:, 2] = rates[2]
    for k in range(classes):
        positive = y == k
        if positive.any() and not positive.all():
            out[k, 3] = sk.roc_auc_score(positive, p[:, k])
        if positive.any():
            out[k, 4] = sk.average_precision_score(positive, p[:, k])
    return out


def curves(name, p, y, classes):
    """roc and pr of the first classes, [points][x, y], from the highest score on."""
    out = {}
    for k in range(min(classes, CURVES)):
        positive = y == k
        if positive.any() and not positive.all():
            fpr, tpr, _ = sk.roc_curve(positive, p[:, k], drop_intermediate=False)
            out[f"{name}/roc{k}"] = np.stack([fpr, tpr], 1)
        if positive.any():
            precision, recall, _ = sk.precision_recall_curve(positive, p[:, k])
            out[f"{name}/pr{k}"] = np.stack([recall, precision], 1)[::-1]
    return out


def scalars(p, y):
    """In the order of test_analysis.c."""
    guess = p.argmax(1)
    macro = sk.precision_recall_fscore_support(y, guess, average="macro", zero_division=0)
    weighted = sk.precision_recall_fscore_support(y, guess, average="weighted", zero_division=0)
    loss = row_losses(p, y).mean()
    if (p > 0).all():  # scikit-learn clips at another bound
        wide = p.astype(np.float64)
        official = sk.log_loss(y, wide / wide.sum(1, keepdims=True), labels=range(p.shape[1]))
        assert abs(official - loss) < 1e-6, (official, loss)
    return np.array([sk.accuracy_score(y, guess), sk.balanced_accuracy_score(y, guess), loss,
                     top2(p, y), calibration(p, y)[1], *macro[:3], *weighted[:3]])


def bootstrap(rng, p, y):
    """95 % intervals by drawing rows: accuracy, balanced accuracy, macro F1, loss, recall of 0."""
    guess, losses, n = p.argmax(1), row_losses(p, y), len(y)
    drawn = []
    for _ in range(RESAMPLES):
        at = rng.integers(0, n, n)
        pairs = np.bincount(y[at] * p.shape[1] + guess[at], minlength=p.shape[1] ** 2)
        m = pairs.reshape(p.shape[1], -1)
        hit, true, said = np.diag(m), m.sum(1), m.sum(0)
        recall = hit / np.where(true, true, np.nan)
        known = true + said > 0
        f1 = (2 * hit / np.maximum(true + said, 1))[known].mean()
        drawn.append([hit.sum() / n, np.nanmean(recall), f1, losses[at].mean(), recall[0]])
    return np.nanpercentile(np.array(drawn), [2.5, 97.5], axis=0).T


def tests():
    """p values: [only a, only b, McNemar], [hits, n, hits, n, two proportions], Wilson."""
    pairs = [(0, 0), (1, 0), (3, 9), (12, 12), (14, 10), (15, 10), (40, 20), (400, 310), (0, 24)]
    mcnemar = []
    for a, b in pairs:
        if a + b == 0:
            p = 1.0
        elif a + b < 25:
            p = stats.binomtest(min(a, b), a + b, 0.5).pvalue
        else:
            p = stats.chi2.sf(max(0, abs(a - b) - 1) ** 2 / (a + b), 1)
        mcnemar.append([a, b, p])
    groups = [(3, 4, 5, 6), (60, 100, 500, 700), (0, 10, 3, 20), (10, 10, 20, 20)]
    two = []
    for a, n, b, m in groups:
        table = np.array([[a, n - a], [b, m - b]])
        p = 1.0 if not table.sum(0).all() else stats.chi2_contingency(table, correction=False)[1]
        two.append([a, n, b, m, p])
    wilson = [[a, n, *stats.binomtest(a, n).proportion_ci(0.95, "wilson")]
              for a, n in [(3, 4), (0, 7), (7, 7), (650, 1000)]]
    return {"mcnemar": np.array(mcnemar), "two": np.array(two, float), "wilson": np.array(wilson)}


def main():
    """Write the file."""
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(SEED)
    tensors = {}
    for name, (p, y) in cases(rng).items():
        classes = p.shape[1]
        tensors[f"{name}/p"] = p
        tensors[f"{name}/labels"] = y.astype(np.int64)
        tensors[f"{name}/scalars"] = scalars(p, y)
        tensors[f"{name}/classes"] = by_class(p, y, classes)
        tensors[f"{name}/bins"] = calibration(p, y)[0]
        tensors.update(curves(name, p, y, classes))
        if name in ("random", "two", "ties"):
            tensors[f"{name}/recalibration"] = np.array(recalibration(p, y))
            tensors[f"{name}/bootstrap"] = bootstrap(rng, p, y)
    tensors.update(tests())
    write_golden("metrics.safetensors", tensors, {"backend": f"scikit-learn {sklearn.__version__}"})


if __name__ == "__main__":
    main()
