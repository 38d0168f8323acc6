"""The network of `ravdess_lstm` in Keras, trained pass by pass as told: run by `keras_peer` in Keras' own environment.

    python keras_network.py BATCHES.npz THREADS

It prints "ready" once it has trained a pass. Then it trains one, or predicts the first batch, for each line "train" or
"predict" that it reads, and prints "done".
"""

import os
import sys


os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf


LABELS = 8
FEATURES = 40


def main() -> None:
    """Serve passes over the batches."""
    path, threads = sys.argv[1], int(sys.argv[2])
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    model, batches = network(), stored_batches(path)
    model.fit(batches, verbose=0)
    print("ready", flush=True)
    (first, _), *_ = batches
    answer = tf.function(lambda features: model(features, training=False))  # in less time than model.predict
    for line in sys.stdin:
        if line.strip() == "predict":
            answer(first).numpy()
        else:
            model.fit(batches, verbose=0)
        print("done", flush=True)


def network() -> keras.Model:
    """LSTM 128 > dropout > LSTM 64 > dropout > dense 64 > logits, over frames that are not padding; compiled."""
    model = keras.Sequential(
        [
            keras.Input((None, FEATURES)),
            keras.layers.Masking(mask_value=0.0),
            keras.layers.LSTM(128, return_sequences=True),
            keras.layers.Dropout(0.3),
            keras.layers.LSTM(64),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(LABELS),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(0.001), loss=loss)
    return model


def stored_batches(path: str) -> tf.data.Dataset:
    """Batches of padded features, float32 (batch, frames, features), and labels, (batch,), held in memory."""
    content = np.load(path)
    batches = [(content[f"features_{index}"], content[f"labels_{index}"]) for index in range(len(content.files) // 2)]
    signature = tf.TensorSpec((None, None, FEATURES), tf.float32), tf.TensorSpec((None,), tf.int64)
    return tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=signature).cache()


if __name__ == "__main__":
    main()
