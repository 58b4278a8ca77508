#!/usr/bin/env python3
"""Fits LightGBM on exported cases and predicts the judged ones: the baseline to beat.

    weatherglass evaluate --name weatherglass-judged --data DIR --export-cases CASES
    python3 models/lightgbm_baseline.py CASES
    weatherglass evaluate --name weatherglass-judged --data DIR --learned CASES

For each quantity and lead a model of the median of the change from the newest value is fitted (the
L1 objective), stopped where the last part of the training period gets no better. The other
quantiles are those of its residuals there, by how large a change it predicts. The chance of rain is
a classifier. Needs the packages lightgbm and numpy.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

MEDIANS = ("temperature", "dew_point", "pressure", "wind_speed", "wind_gust")
# Residuals are taken by thirds of the predicted change: small changes are surer than large ones.
BINS = 3
# Fewer residuals than this say nothing about a 5 % quantile.
ENOUGH = 400


@dataclass(frozen=True)
class Cases:
    """What `weatherglass evaluate --export-cases` wrote."""

    facts: dict[str, Any]
    training: Floats
    targets: Floats
    late: NDArray[np.bool_]
    judged: Floats

    @classmethod
    def read(cls, folder: Path) -> Cases:
        facts = json.loads((folder / "cases.json").read_text(encoding="utf-8"))
        if facts["format"] != 1:
            raise SystemExit(f"{folder}: format {facts['format']}, this script reads 1")

        def load(name: str) -> Floats:
            return np.load(folder / f"{name}.npy", mmap_mode="r")

        return cls(facts, load("training"), load("training_targets"), load("training_late")[:, 0] > 0, load("judged"))

    def columns(self, lead: int) -> list[int]:
        """The window's columns and those of the lead of that index."""
        window, each = len(self.facts["window"]), len(self.facts["lead"])
        start = window + lead * each
        return list(range(window)) + list(range(start, start + each))


def parameters(objective: str, options: argparse.Namespace) -> dict[str, Any]:
    return {
        "objective": objective,
        "metric": "l1" if objective == "regression_l1" else "binary_logloss",
        "learning_rate": options.learning_rate,
        "num_leaves": options.leaves,
        "min_data_in_leaf": 100,
        "feature_fraction": 0.3,
        "bagging_fraction": 0.6,
        "bagging_freq": 1,
        "lambda_l2": 1.0,
        "max_bin": 63,
        "num_threads": options.threads,
        "force_col_wise": True,
        "seed": options.seed,
        "deterministic": True,
        "verbose": -1,
    }


def fit(
    binned: lgb.Dataset, target: Floats, late: NDArray[np.bool_], objective: str, options: argparse.Namespace
) -> lgb.Booster:
    """Fits on what is not late, stops by what is."""
    settings = parameters(objective, options)
    known = np.isfinite(target)
    binned.set_label(np.nan_to_num(target))
    train = binned.subset(np.flatnonzero(known & ~late), params=settings)
    stop = binned.subset(np.flatnonzero(known & late), params=settings)
    callbacks = [lgb.early_stopping(options.patience, verbose=False)]
    return lgb.train(settings, train, options.rounds, valid_sets=[stop], callbacks=callbacks)


def around(median: Floats, residuals: Floats, predicted: Floats, quantiles: list[float]) -> Floats:
    """The median plus the quantiles of residuals of similar predictions, never crossing."""
    enough = len(residuals) >= BINS * ENOUGH
    edges = np.quantile(predicted, np.linspace(0, 1, BINS + 1)[1:-1]) if enough else np.array([])
    levels = np.empty((len(median), len(quantiles)), np.float32)
    groups, wanted = np.searchsorted(edges, predicted), np.searchsorted(edges, median)
    for group in range(len(edges) + 1):
        chosen = residuals[groups == group]
        offsets = np.quantile(chosen if len(chosen) else residuals, quantiles)
        # The model of the median answers for the middle.
        offsets[quantiles.index(0.5)] = 0.0
        levels[wanted == group] = median[wanted == group, None] + np.sort(offsets)[None, :]
    return levels


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("cases", type=Path, help="folder that --export-cases wrote; predictions go there too")
    parser.add_argument("--rounds", type=int, default=600, help="most trees of a model (%(default)s)")
    parser.add_argument("--patience", type=int, default=25, help="trees without improvement (%(default)s)")
    parser.add_argument("--learning-rate", type=float, default=0.1, help="(%(default)s)")
    parser.add_argument("--leaves", type=int, default=63, help="leaves of a tree (%(default)s)")
    parser.add_argument("--rows", type=int, default=0, help="cases used, 0: all (%(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="0: all (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="(%(default)s)")
    parser.add_argument("--only", nargs="*", default=[*MEDIANS, "rain"], help="quantities (all)")
    options = parser.parse_args()

    cases = Cases.read(options.cases)
    facts = cases.facts
    quantiles = [round(float(level), 4) for level in facts["quantiles"]]
    leads, targets = facts["leads"], facts["targets"]
    changes = np.full((len(cases.judged), len(targets), len(leads), len(quantiles)), np.nan, np.float32)
    chances = np.full((len(cases.judged), len(leads)), np.nan, np.float32)
    trees: dict[str, int] = {}
    # Cases come in random order.
    chosen_rows = slice(0, options.rows or None)
    late = cases.late[chosen_rows]
    started = time.monotonic()
    for index, lead in enumerate(leads):
        columns = cases.columns(index)
        rows, asked = np.asarray(cases.training[chosen_rows][:, columns]), np.asarray(cases.judged[:, columns])
        # Finding the bins takes as long as many trees: once for all quantities of a lead.
        binned = lgb.Dataset(rows, label=np.zeros(len(rows)), params=parameters("regression_l1", options))
        binned.construct()
        for name in options.only:
            at = targets.index(name)
            target = np.asarray(cases.targets[chosen_rows, at * len(leads) + index])
            chosen = np.isfinite(target) & late
            if chosen.sum() < ENOUGH or (np.isfinite(target) & ~late).sum() < ENOUGH:
                print(f"{name} {lead} h: too few cases, left out", file=sys.stderr)
                continue
            model = fit(binned, target, late, "binary" if name == "rain" else "regression_l1", options)
            trees[f"{name} {lead}"] = model.best_iteration
            predicted = np.asarray(model.predict(rows[chosen]), np.float32)
            answer = np.asarray(model.predict(asked), np.float32)
            if name == "rain":
                chances[:, index] = answer
                score = float(np.mean((predicted - target[chosen]) ** 2))
            else:
                changes[:, at, index] = around(answer, target[chosen] - predicted, predicted, quantiles)
                score = float(np.mean(np.abs(predicted - target[chosen])))
            spent = time.monotonic() - started
            print(f"{spent:6.0f} s  {name} {lead} h: {model.best_iteration} trees, late {score:.4f}", flush=True)

    np.save(options.cases / "predictions.npy", changes.reshape(len(changes), -1))
    np.save(options.cases / "chances.npy", chances)
    about = {
        "fingerprint": facts["fingerprint"],
        "made_by": f"LightGBM {lgb.__version__}, {options.leaves} leaves, rate {options.learning_rate}, "
        f"{int((~late).sum())} cases fitted, {int(late.sum())} to stop and for residuals, at most {options.rounds} trees, "
        f"which {sum(n >= options.rounds for n in trees.values())} of {len(trees)} models reached",
        "trees": trees,
    }
    (options.cases / "predictions.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
