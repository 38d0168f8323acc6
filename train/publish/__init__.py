"""From a checkpoint and its results to repositories on the Hub: a model, or a Space with the page.

In: a checkpoint with its metrics.json and card (`train.report`). Out: one commit in a repository.
"""
