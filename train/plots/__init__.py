"""Plots.

In: numbers, labels and arrays of a run or a corpus. Out: PNG files.
"""
