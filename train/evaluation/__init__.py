"""From a checkpoint to figures: a split, cross-validation, noise and other conditions, adaptation to a speaker.

In: a checkpoint (`train.fit`) or a recipe to cross-validate, and corpora (`train.data`). Out: metrics.json,
predictions.parquet and plots in an output folder.
"""
