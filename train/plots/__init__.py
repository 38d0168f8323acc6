"""Plots.

In: numbers, labels and arrays of a run or a corpus. Out: PNG files.
"""

import matplotlib


matplotlib.use("Agg")  # no display is needed, whatever the machine's settings
