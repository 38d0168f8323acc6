"""Speed and memory against peers, measured in one run and given as ratios."""
