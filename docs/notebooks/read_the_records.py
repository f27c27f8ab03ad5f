# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # Read the records, draw Figure 1(b) yourself, ask a new question
#
# Every run behind the figures is a folder in `runs/`: its settings, its curve, what it was made with. This notebook
# reads them as pandas frames and trains nothing.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import seaborn

import rethinking as rt

here = Path.cwd()
runs = next(folder / "runs" for folder in (here, *here.parents) if (folder / "runs").is_dir())
records = rt.records(runs)
frame = records.frame()
print(f"{len(frame):,} training runs of {frame['model'].nunique()} networks")
frame[["model", "n", "condition", "p", "regularizer", "seed", "state", "steps_to_fit", "test_accuracy"]].head()

# %% [markdown]
# ## Figure 1(b) by hand
#
# How much longer does a network take to fit, as more labels are random? First the runs in question: one network, all
# 50,000 images, labels corrupted with probability `p`, everything else at its default.

# %%
plain = frame.query("model == 'mlp-1x512' and n == 50_000 and model_options == '' and regularizer == 'none'")
plain = plain.query("batch_size == 128 and learning_rate == 0.01 and seed == data_seed and keep == ''")
plain = plain[~plain["bootstrap"] & (plain["held_out"] == 0) & (plain["initial_weights"] == "glorot")]
plain = plain[plain["corruptions"].str.fullmatch("none|random_labels|partial_labels=[0-9.]+")]

fit = plain.set_index(["p", "seed"])["steps_to_fit"]
baseline = fit.xs(0.0).reindex(fit.index, level="seed")  # true labels, of the same seed
ratio = (fit / baseline).rename("ratio")
medians = ratio.groupby("p").median(skipna=False)  # <NA> where a run is missing or did not fit
medians

# %%
axes = plt.subplots(figsize=(5, 3.2), layout="constrained")[1]
looks = {"estimator": "median", "errorbar": lambda v: (v.min(), v.max()), "marker": "o", "ax": axes}
seaborn.lineplot(ratio.reset_index().dropna().astype(float), x="p", y="ratio", **looks)
_ = axes.set(xlabel="label corruption p", ylabel="time to fit, relative to p = 0", ylim=(0, None), title="MLP 1x512")

# %% [markdown]
# The package's own figure takes its numbers from the same records. It adds the verdicts on the paper's claims.

# %%
figure = rt.figure("fig1b", scale="paper", runs=runs)
figure

# %%
theirs = figure.frame().query("network == 'mlp-1x512'").groupby("p")["steps_ratio"].median()
assert (theirs - medians.astype(float)).abs().max() == 0  # the same medians, to the digit

# %% [markdown]
# ## A new question: is the best moment to stop earlier, the more labels are wrong?
#
# The curves have every evaluation. We take, for each run, the highest test accuracy on its way and what was lost by
# training on to the end. Test accuracy along the way is of 2,000 test images, and the best of many evaluations is
# biased upwards: a point or two means nothing here.

# %%
curves = records.curves()
curves = curves[curves["run"].isin(plain["run"])]
best = curves.loc[curves.groupby("run")["test_accuracy"].idxmax(), ["run", "p", "seed", "epoch", "test_accuracy"]]
best = best.merge(plain[["run", "test_accuracy"]].rename(columns={"test_accuracy": "at_the_end"}), on="run")
best["lost"] = 100 * (best["test_accuracy"] - best["at_the_end"])
summary = best.groupby("p")[["epoch", "lost"]].median()
summary

# %%
axes = plt.subplots(figsize=(5, 3.2), layout="constrained")[1]
seaborn.lineplot(best.astype({"lost": float}), x="p", y="lost", **(looks | {"ax": axes}))
_ = axes.set(xlabel="label corruption p", ylabel="points lost since the best evaluation", title="MLP 1x512")

# %%
worst = summary["lost"].idxmax()
clean, noisy = summary.loc[0.0], summary.loc[worst]
print(f"true labels: best at epoch {clean['epoch']:.0f}, {clean['lost']:.1f} points lost since")
print(f"p = {worst:g}: best at epoch {noisy['epoch']:.0f}, {noisy['lost']:.1f} points lost since, the most of all")

# %% [markdown]
# Each point is a median over seeds, with the range. The network learns from the labels that are right before it
# memorizes those that are wrong, so there is most to lose where both are many. At p = 1 test accuracy is at chance all
# along. To ask the same of another network, name it and its learning rate where `plain` is made: what is not recorded
# yet, `rethinking run` and `rethinking figure` train.
