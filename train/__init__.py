"""From corpora to a published checkpoint: corpora, training, evaluation, publishing."""
