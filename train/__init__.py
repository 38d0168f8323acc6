"""From corpora to a published checkpoint.

publish > report > evaluation > fit > data > augment: a room imports from those to its right, and all may use metrics
and plots. Each room's docstring says what comes in and what goes out.
"""
