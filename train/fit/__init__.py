"""From a recipe to a checkpoint: the recipe's fields, the network's training, its calibration, and how to resume.

In: a recipe and the splits of its corpora (`train.data`). Out: a checkpoint folder, which holds config.json,
preprocessor_config.json, model.safetensors and recipe.json.
"""
