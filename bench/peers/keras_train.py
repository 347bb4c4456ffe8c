"""Keras 3 on TensorFlow: training step with random batch, augmentation, Adam; f32, NHWC, oneDNN."""

import math
import os

import contest

MODES = ("graph", "xla")
args = contest.arguments(__doc__, modes=MODES)
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf

import nets

tf.config.threading.set_intra_op_parallelism_threads(args.threads)
tf.config.threading.set_inter_op_parallelism_threads(1)
x_all, y_all = map(tf.constant, contest.images(args))
A = contest.AUGMENT
RADIANS = math.pi / 180
CENTRE_X, CENTRE_Y = (contest.WIDTH - 1) / 2, (contest.HEIGHT - 1) / 2


def uniform(low, high):
    return tf.random.uniform((args.batch,), low, high)


def augment(images):
    """Normalised float [n,48,48,1] from a uint8 batch: one warp, one pass over the values."""
    angle = uniform(-A["rotate"] * RADIANS, A["rotate"] * RADIANS)
    zoom = uniform(1 - A["zoom"], 1 + A["zoom"])
    mirror = tf.sign(uniform(-1, 1))
    dx = uniform(-A["shift"], A["shift"]) * contest.WIDTH
    dy = uniform(-A["shift"], A["shift"]) * contest.HEIGHT
    s, c = tf.sin(angle) * zoom, tf.cos(angle) * zoom
    zero = tf.zeros_like(s)
    # output (x, y) comes from input (t0 x + t1 y + t2, t3 x + t4 y + t5)
    transforms = tf.stack(
        (c * mirror, -s, CENTRE_X + dx - (c * mirror * CENTRE_X - s * CENTRE_Y),
         s * mirror, c, CENTRE_Y + dy - (s * mirror * CENTRE_X + c * CENTRE_Y), zero, zero),
        axis=1,
    )  # fmt: skip
    x = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(images, tf.float32),
        transforms=transforms,
        output_shape=(contest.HEIGHT, contest.WIDTH),
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )
    gain = tf.reshape(uniform(1 - A["contrast"], 1 + A["contrast"]), (-1, 1, 1, 1))
    lift = tf.reshape(uniform(-A["brightness"], A["brightness"]) * 255, (-1, 1, 1, 1))
    x = tf.clip_by_value(x * gain + (127.5 - 127.5 * gain + lift), 0, 255)
    return x * contest.SCALE + contest.SHIFT


def trainer(xla):
    net = nets.keras_net(args.net)
    rule = keras.optimizers.Adam(1e-3)
    rule.build(net.trainable_variables)

    @tf.function(jit_compile=xla)
    def learn(x, y):
        with tf.GradientTape() as tape:
            logits = net(x, training=True)
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
            loss = tf.reduce_mean(loss)
        rule.apply(tape.gradient(loss, net.trainable_variables), net.trainable_variables)
        return loss

    # XLA has no CPU kernel for the projective transform, so augmentation is not compiled by XLA
    @tf.function
    def step():
        at = tf.random.uniform((args.batch,), 0, len(x_all), tf.int32)
        return learn(augment(tf.gather(x_all, at)), tf.gather(y_all, at))

    return lambda: step().numpy()


contest.serve(
    args,
    f"keras {keras.__version__} tensorflow {tf.__version__}",
    {"graph": lambda: trainer(False), "xla": lambda: trainer(True)},
)
