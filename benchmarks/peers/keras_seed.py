"""The report's network in its own framework: training lines a second. Run with the peers' Python (make peers).

Prints one JSON object: lines_per_second, parameters, peak_mb.
"""

import json
import os
import resource
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers

BATCH, LENGTH, CLASSES = 64, 32, 49


def build() -> keras.Model:
    line = keras.Input((28, 896, 1))
    patches = layers.Lambda(
        lambda x: tf.reshape(
            tf.image.extract_patches(x, [1, 28, 20, 1], [1, 1, 14, 1], [1, 1, 1, 1], "VALID"), (-1, 63, 28, 20, 1)
        ),
        output_shape=(63, 28, 20, 1),
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
    steps = layers.TimeDistributed(cnn)(patches)
    out = layers.Dense(CLASSES, activation="softmax")(layers.LSTM(128, return_sequences=True)(steps))
    return keras.Model(line, out)


def main(steps: int) -> None:
    model = build()
    optimizer = keras.optimizers.Adam()

    @tf.function
    def step(lines: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            said = model(lines, training=True)
            loss = tf.reduce_mean(
                keras.backend.ctc_batch_cost(labels, said, tf.fill((BATCH, 1), 63), tf.fill((BATCH, 1), LENGTH))
                if hasattr(keras.backend, "ctc_batch_cost")
                else tf.nn.ctc_loss(
                    labels, tf.math.log(said + 1e-7), tf.fill((BATCH,), LENGTH), tf.fill((BATCH,), 63), False,
                    blank_index=CLASSES - 1,
                )
            )  # fmt: skip
        optimizer.apply_gradients(
            zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables, strict=True)
        )
        return loss

    rng = np.random.default_rng(0)
    lines = rng.random((BATCH, 28, 896, 1), np.float32)
    labels = rng.integers(0, CLASSES - 1, (BATCH, LENGTH)).astype(np.int32)
    step(lines, labels)
    times = []
    for _ in range(steps):
        started = time.perf_counter()
        step(lines, labels)
        times.append(time.perf_counter() - started)
    print(
        json.dumps(
            {
                "lines_per_second": BATCH / float(np.median(times)),
                "parameters": int(model.count_params()),
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "tensorflow": tf.__version__,
            }
        )
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8)
