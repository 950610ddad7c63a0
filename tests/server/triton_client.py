"""Runs in an environment of its own: NVIDIA's client, unmodified, against a server; prints what it saw as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException


def tensor(name: str, values: Any, datatype: str) -> triton.InferInput:
    array = np.array(values, object) if datatype == "BYTES" else np.array(values, triton_dtype(datatype))
    made = triton.InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array)
    return made


def triton_dtype(datatype: str) -> Any:
    return {"FP32": np.float32, "INT32": np.int32, "INT64": np.int64, "UINT8": np.uint8}[datatype]


def told(call: Callable[[], Any]) -> str:
    """The error that a call must end with."""
    try:
        call()
    except InferenceServerException as error:
        return f"{error.status()}: {error.message()}"
    return "no error"


def main() -> None:
    client = triton.InferenceServerClient(sys.argv[1])
    seen: dict[str, Any] = {}
    seen["live"] = client.is_server_live()
    seen["ready"] = client.is_server_ready()
    seen["server"] = client.get_server_metadata(as_json=True)
    seen["index"] = client.get_model_repository_index(as_json=True)["models"]

    seen["ready before"] = client.is_model_ready("strokes")
    client.load_model("strokes")
    seen["ready after"] = client.is_model_ready("strokes", "1")
    client.unload_model("strokes")
    seen["ready at last"] = client.is_model_ready("strokes")

    names = ("recommender", "strokes", "writer", "encoder")
    seen["metadata"] = {name: client.get_model_metadata(name, as_json=True) for name in names}

    users = tensor("user_id", [b"space-fan-0", "陌生人".encode()], "BYTES")
    lists = client.infer("recommender", [users, tensor("n", [5], "INT32")], request_id="r1")
    seen["lists"] = {
        "id": lists.get_response().id,
        "items": [[i.decode() for i in row] for row in lists.as_numpy("item_id").tolist()],
        "scores": str(lists.as_numpy("score").dtype),
        "count": lists.as_numpy("count").tolist(),
        "answer": [len(i) for i in lists.as_numpy("recommendation_id").tolist()],
    }
    classes, seeds = tensor("class", [b"upright", b"level", b"level"], "BYTES"), tensor("seed", [1, 2, 3], "INT64")
    wanted = [triton.InferRequestedOutput(name) for name in ("image", "pixels", "class")]
    pictures = client.infer("strokes", [classes, seeds], outputs=wanted)
    again = client.infer("strokes", [tensor("class", [b"level"], "BYTES"), tensor("seed", [3], "INT64")])
    image, pixels = pictures.as_numpy("image"), pictures.as_numpy("pixels")
    seen["pictures"] = {
        "shape": image.shape,
        "dtype": str(image.dtype),
        "pixels": str(pixels.dtype),
        "agree": bool(np.abs(pixels * 255 - image).max() < 1e-3),
        "classes": [c.decode() for c in pictures.as_numpy("class").tolist()],
        "same alone": bool((again.as_numpy("image")[0] == image[2]).all()),
    }
    prompts = tensor("prompt", ["春眠".encode(), b"The"], "BYTES")
    asked = {"max_tokens": 8, "temperature": 0.7, "seed": 3}
    texts = client.infer("writer", [prompts], parameters=asked)
    once = client.infer("writer", [tensor("prompt", ["春眠".encode()], "BYTES")], parameters=asked)
    seen["texts"] = {
        "texts": [t.decode() for t in texts.as_numpy("text").tolist()],
        "alone": once.as_numpy("text")[0].decode(),
        "tokens": texts.as_numpy("tokens").tolist(),
        "reasons": [r.decode() for r in texts.as_numpy("finish_reason").tolist()],
    }
    embedded = client.infer("encoder", [tensor("text", ["春眠".encode(), b"The", b""], "BYTES")]).as_numpy("embedding")
    seen["embedding"] = {"shape": embedded.shape, "lengths": np.linalg.norm(embedded, axis=1).round(3).tolist()}

    seen["errors"] = {
        "model": told(lambda: client.infer("nobody", [users])),
        "version": told(lambda: client.infer("strokes", [seeds], model_version="9")),
        "input name": told(lambda: client.infer("recommender", [tensor("user", [b"x"], "BYTES")])),
        "input missing": told(lambda: client.infer("writer", [seeds])),
        "input shape": told(lambda: client.infer("recommender", [tensor("user_id", [[b"x"]], "BYTES")])),
        "latent shape": told(lambda: client.infer("strokes", [tensor("latent", [[0.0] * 3], "FP32")])),
        "input dtype": told(lambda: client.infer("strokes", [tensor("class", [1.0], "FP32")])),
        "rows": told(lambda: client.infer("strokes", [tensor("class", [b"level"] * 2, "BYTES"), seeds])),
        "class": told(lambda: client.infer("strokes", [tensor("class", [b"sideways"], "BYTES")])),
        "output": told(
            lambda: client.infer("strokes", [seeds], outputs=[triton.InferRequestedOutput("picture")]),
        ),
        "parameter": told(lambda: client.infer("writer", [prompts], parameters={"max_token": 3})),
        "parameter type": told(lambda: client.infer("writer", [prompts], parameters={"max_tokens": "many"})),
        "load": told(lambda: client.load_model("nobody")),
        "config": told(lambda: client.load_model("strokes", config="{}")),
        "unload": told(lambda: client.unload_model("recommender")),
        "utf-8": told(lambda: client.infer("recommender", [tensor("user_id", [b"\xff"], "BYTES")])),
    }
    callbacks: list[Any] = []
    client.async_infer("recommender", [users], callback=lambda result, error: callbacks.append((result, error)))
    client.close()
    seen["async"] = len(callbacks)
    seen["wire"] = {
        message.full_name: {f.name: [f.number, f.type, f.is_repeated] for f in message.fields}
        for outer in service_pb2.DESCRIPTOR.message_types_by_name.values()
        for message in (outer, *outer.nested_types)
    }
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    main()
