"""Measures the training speed of the W&B report's network in Keras. Run with the peers' Python (make peers).

python keras_seed.py [STEPS]    # prints one JSON object: {"lines_per_second", "parameters", "peak_mb", "tensorflow"}

The lines are random numbers, composed before the measurement; 64 lines of 32 characters a step.
"""

import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers

BATCH, LENGTH, CLASSES = 64, 32, 49
PATCHES = 63  # of 28 x 20 px, every 14 px


def build_network() -> keras.Model:
    """The network: lines (N, 28, 896, 1) -> class probabilities (N, 63, 49)."""
    line = keras.Input((28, 896, 1))
    patches = layers.Lambda(
        lambda x: tf.reshape(
            tf.image.extract_patches(x, [1, 28, 20, 1], [1, 1, 14, 1], [1, 1, 1, 1], "VALID"), (-1, PATCHES, 28, 20, 1)
        ),
        output_shape=(PATCHES, 28, 20, 1),
    )(line)
    cnn = keras.Sequential(
        [
            keras.Input((28, 20, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.2),
            layers.Flatten(),
        ]
    )
    features = layers.TimeDistributed(cnn)(patches)
    probabilities = layers.Dense(CLASSES, activation="softmax")(layers.LSTM(128, return_sequences=True)(features))
    return keras.Model(line, probabilities)


def main(steps: int) -> None:
    """Train the network for some steps and print the median speed."""
    network = build_network()
    optimizer = keras.optimizers.Adam()

    @tf.function
    def train_step(lines: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            probabilities = network(lines, training=True)
            loss = tf.reduce_mean(
                keras.backend.ctc_batch_cost(
                    labels, probabilities, tf.fill((BATCH, 1), PATCHES), tf.fill((BATCH, 1), LENGTH)
                )
                if hasattr(keras.backend, "ctc_batch_cost")
                else tf.nn.ctc_loss(
                    labels, tf.math.log(probabilities + 1e-7), tf.fill((BATCH,), LENGTH), tf.fill((BATCH,), PATCHES),
                    False, blank_index=CLASSES - 1,
                )
            )  # fmt: skip
        optimizer.apply_gradients(
            zip(tape.gradient(loss, network.trainable_variables), network.trainable_variables, strict=True)
        )
        return loss

    rng = np.random.default_rng(0)
    lines = rng.random((BATCH, 28, 896, 1), np.float32)
    labels = rng.integers(0, CLASSES - 1, (BATCH, LENGTH)).astype(np.int32)
    train_step(lines, labels)
    times = []
    for _ in range(steps):
        started = time.perf_counter()
        train_step(lines, labels)
        times.append(time.perf_counter() - started)
    status = Path("/proc/self/status").read_text()  # getrusage also counts the process that started this one
    print(
        json.dumps(
            {
                "lines_per_second": BATCH / float(np.median(times)),
                "parameters": int(network.count_params()),
                "peak_mb": int(status.split("VmHWM:")[1].split()[0]) / 1024,
                "tensorflow": tf.__version__,
            }
        )
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8)
