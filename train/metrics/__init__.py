"""Metrics, as modules that `evaluate.load` takes by their folder.

In: references with predicted labels or probabilities. Out: numbers.
"""
