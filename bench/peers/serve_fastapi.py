#!/usr/bin/env python3
"""The server that Mien is compared with (bench/serve.py): FastAPI, uvicorn, Pillow and the same network in Keras.

  serve_fastapi.py --model best.h5 --mode function|predict --workers 1|2 --port N

function: a compiled tf.function, called with one image, threads left to TensorFlow.
predict: `model.predict` for each request, as the tutorials do.
"""
import argparse
import io
import os

import numpy as np
import uvicorn
from fastapi import FastAPI, Request
from PIL import Image

CLASSES = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]


def make_app():
    import tensorflow as tf

    model = tf.keras.models.load_model(os.environ["SERVE_MODEL"], compile=False)
    shape = model.input_shape[1:]
    if os.environ["SERVE_MODE"] == "function":
        compiled = tf.function(lambda x: model(x, training=False), input_signature=[tf.TensorSpec([None, *shape], tf.float32)])
        run = lambda x: compiled(x).numpy()
    else:
        run = lambda x: model.predict(x, verbose=0)
    run(np.zeros([1, *shape], np.float32))
    app = FastAPI()

    @app.post("/v1/predict")
    async def predict(request: Request):
        image = Image.open(io.BytesIO(await request.body())).convert("L").resize(shape[1::-1])
        pixels = np.asarray(image, np.float32)[None, :, :, None] / 255
        scores = run(pixels)[0]
        best = int(scores.argmax())
        return {"schema": 1, "file": "image", "width": image.width, "height": image.height,
                "faces": [{"id": 1, "label": CLASSES[best], "confidence": float(scores[best]),
                           "scores": dict(zip(CLASSES, map(float, scores)))}]}

    return app


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--model", required=True)
    p.add_argument("--mode", choices=["function", "predict"], default="function")
    p.add_argument("--workers", type=int, default=1)
    p.add_argument("--port", type=int, required=True)
    a = p.parse_args()
    os.environ["SERVE_MODEL"], os.environ["SERVE_MODE"] = os.path.abspath(a.model), a.mode
    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    uvicorn.run("serve_fastapi:make_app", factory=True, host="127.0.0.1", port=a.port, workers=a.workers, log_level="error",
                access_log=False)


if __name__ == "__main__":
    main()
