"""From results to what people read: tables, the model card, the generated parts of README, plots of a corpus.

In: metrics.json of runs (`train.evaluation`), corpora to explore (`train.data`). Out: Markdown and PNG files.
"""
