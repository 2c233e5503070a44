"""What is a pass on a sample worth, by its score, and what tells it? From what `cargo bench --bench forks` wrote.

    python predict.py FOLDER [RECIPE...]

FOLDER has pairs TASK-RECIPE-SEED.csv (its output) and TASK-RECIPE-SEED.f32 (`--seen`). For each task, recipe and point of
the budget it prints, by eighths of the rank of `loss-intensity`, lowest first, means over seeds:

    forks   accuracy, in points, of forks whose batches have a third from that eighth, against their mean over the eighths
    worth   inner product of a sample's gradient of the last layer with the mean of the others in its step, divided by its
            mean over the eighths; the eighth is that of the rank in the same step

and how the first correlates with the worth by the rank now and by the rank at the last visit, with the worth against a mean
weighted by p_y^0.7 ("trusted"), with the rank itself, and with what `ast` multiplies: rank squared times the factor of its
guard. Steps of the last quarter of the budget before the forks count.
"""
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

PARTS, RECENT = 8, 1024
BATCH = {"simple-cnn": 128}


def forks(path):
    """Accuracy by (point, eighth), means over repeats."""
    found = defaultdict(list)
    for line in path.read_text().splitlines():
        kind, _, _, _, at, score, part, _, accuracy, _ = line.split(",")
        if kind == "fork" and score == "loss-intensity":
            found[at, int(part)].append(float(accuracy))
    points = sorted({at for at, _ in found})
    curves = {at: [np.mean(found[at, part]) for part in range(PARTS)] for at in points if (at, PARTS - 1) in found}
    return {at: np.array(curve) - np.mean(curve) for at, curve in curves.items()}


def seen(path, batch):
    """Share spent, rank now, rank at the last visit (NaN at the first), worth and trusted worth of each pass."""
    values = np.fromfile(path, "<f4")
    classes, width = values[:2].astype(int)
    rows = values[2:]
    row = 5 + classes + width
    steps = len(rows) // (row * batch)
    rows = rows[: steps * batch * row].reshape(steps, batch, row).astype(float)
    last, recent, mean_loss, out = {}, np.array([]), None, []
    deviation = rows[..., 3].mean()
    for step in rows:
        ids, labels, loss = step[:, 1].astype(int), step[:, 2].astype(int), step[:, 4]
        p, features = step[:, 5 : 5 + classes], step[:, 5 + classes :]
        mean_loss = loss.mean() if mean_loss is None else mean_loss + 0.1 * (loss.mean() - mean_loss)
        score = 0.7 * loss / mean_loss + 0.3 * step[:, 3] / deviation
        recent = np.concatenate([recent, score])[-RECENT:]
        order = np.sort(recent)
        rank = (np.searchsorted(order, score, "left") + np.searchsorted(order, score, "right")) / (2 * len(order))
        before = np.array([last.get(i, np.nan) for i in ids])
        last.update(zip(ids, rank))
        error = p - np.eye(classes)[labels]
        products = (error @ error.T) * (1 + features @ features.T)
        np.fill_diagonal(products, 0)
        trust = p[np.arange(batch), labels] ** 0.7
        trusted = products @ trust / (trust.sum() - trust)
        out.append(np.stack([step[:, 0], rank, before, products.sum(1) / (batch - 1), trusted], 1))
    return np.concatenate(out)


def by_eighths(rank, value):
    """Mean and standard error by eighths of the rank, both divided by the mean of the means."""
    known = ~np.isnan(rank)
    part = np.minimum(rank[known] * PARTS, PARTS - 1).astype(int)
    of = [value[known][part == k] for k in range(PARTS)]
    if min(map(len, of)) < 20:
        return None, None
    mean = np.array([x.mean() for x in of])
    return mean / mean.mean(), np.array([x.std() / len(x) ** 0.5 for x in of]) / mean.mean()


def main():
    folder, recipes = Path(sys.argv[1]), sys.argv[2:]
    runs = defaultdict(list)
    for path in sorted(folder.glob("*.csv")):
        task, recipe, _ = path.stem.split("-", 1)[0], path.stem.split("-", 1)[1].rsplit("-", 1)[0], None
        if not recipes or recipe in recipes:
            runs[task, recipe].append(path)
    print("| task, recipe, share of the budget, seeds | forks | worth | now | last | trusted | rank | `ast` |")
    print("|---|---|---|---|---|---|---|---|")
    for (task, recipe), paths in runs.items():
        table = defaultdict(list)
        for path in paths:
            passes = seen(path.with_suffix(".f32"), BATCH.get(recipe, 256))
            for at, fork in forks(path).items():
                near = passes[(passes[:, 0] > float(at) - 0.25) & (passes[:, 0] <= float(at))]
                worth, error = by_eighths(near[:, 1], near[:, 3])
                others = [by_eighths(near[:, 2], near[:, 3])[0], by_eighths(near[:, 1], near[:, 4])[0]]
                table[at].append([fork, worth, error, *others])
        for at, rows in table.items():
            fork, worth, error = (np.mean([row[k] for row in rows], 0) for k in range(3))
            rank = (np.arange(PARTS) + 0.5) / PARTS
            rule = rank**2 / (1 + np.exp(-6 * worth / (1 + error)))
            means = [None if rows[0][k] is None else np.mean([row[k] for row in rows], 0) for k in (3, 4)]
            against = [worth, means[0], means[1], rank, rule]
            like = ["" if x is None else f"{np.corrcoef(fork, x)[0, 1]:+.2f}" for x in against]
            numbers = [" ".join(f"{x:+.1f}" for x in fork), " ".join(f"{x:.1f}" for x in worth)]
            print(f"| {task}, {recipe}, {float(at):.2f}, {len(rows)} | {' | '.join(numbers + like)} |")


main()
