"""Frames a second of other programs on a video: video_peers.py fer|deepface|opencv VIDEO [SECONDS]

Each is used as its documentation shows for video: every frame is read with OpenCV and given to the
package, with its OpenCV detector. `opencv` only detects, with Mien's parameters. Reading and the
first ten frames' warm-up are not counted against the package, nor is its start. deepface's weights
cannot be had from a package index: random ones of the same shape take the same time.
"""

import os
import sys
import tempfile
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"


def use_fer():
    from fer.fer import FER

    detector = FER()
    return lambda frame: len(detector.detect_emotions(frame))


def use_deepface():
    home = tempfile.mkdtemp()
    os.environ["DEEPFACE_HOME"] = home
    os.environ["DEEPFACE_BACKEND_ENGINE"] = "tensorflow"
    os.makedirs(f"{home}/.deepface/weights")
    from deepface.commons import weight_utils

    weight_utils.download_weights_if_necessary = lambda file_name, source_url, **_: file_name
    weight_utils.load_model_weights = lambda model, weight_file: model
    from deepface import DeepFace

    def analyze(frame):
        faces = DeepFace.analyze(
            frame,
            actions=["emotion"],
            detector_backend="opencv",
            enforce_detection=False,
            silent=True,
        )
        return len(faces)

    return analyze


def use_opencv():
    import cv2

    cascade = cv2.CascadeClassifier(
        "/usr/share/opencv4/haarcascades/haarcascade_frontalface_default.xml"
    )

    def detect(frame):
        gray = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
        side = max(24, round(0.1 * min(gray.shape)))
        return len(cascade.detectMultiScale(gray, 1.15, 3, minSize=(side, side)))

    return detect


def main():
    name, video = sys.argv[1:3]
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 15
    count = {"fer": use_fer, "deepface": use_deepface, "opencv": use_opencv}[name]()
    import cv2

    source = cv2.VideoCapture(video)
    frames = faces = 0
    spent = 0.0
    while spent < seconds:
        good, frame = source.read()
        if not good:
            break
        begin = time.perf_counter()
        found = count(frame)
        took = time.perf_counter() - begin
        frames += 1
        if frames <= 10:
            continue
        spent += took
        faces += found
    frames -= 10
    print(f"{name} {frames / spent:.2f} frames/s {faces / frames:.2f} faces/frame {frames} frames")


main()
