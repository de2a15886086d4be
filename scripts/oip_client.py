"""Asks a server by the Open Inference Protocol with a client that knows nothing of Protoline.

python scripts/oip_client.py HOST:PORT MODEL GALLERY PICTURE; needs tritonclient[http]. Prints one line of JSON.
"""

import base64
import json
import sys

import numpy as np
import tritonclient.http as http

address, model, gallery, path = sys.argv[1:]
client = http.InferenceServerClient(address)
assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(model)
described = client.get_model_metadata(model)
shape = [1, *next(i["shape"] for i in described["inputs"] if i["name"] == "image")[1:]]
pixels = np.linspace(-1, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape)


def ask(name, kind, data, binary, wanted, parameters=None, as_bytes=True):
    given = http.InferInput(name, list(data.shape), kind)
    given.set_data_from_numpy(data, binary_data=binary)
    outputs = [http.InferRequestedOutput(output, binary_data=as_bytes) for output in wanted]
    return client.infer(model, [given], outputs=outputs, request_id="7", parameters=parameters)


embeddings = [
    ask("image", "FP32", pixels, binary, ["embedding"], as_bytes=as_bytes).as_numpy("embedding")
    for binary in (False, True)
    for as_bytes in (False, True)
]
assert all(np.array_equal(embeddings[0], other) for other in embeddings)
with open(path, "rb") as file:
    picture = np.array([base64.b64encode(file.read())], dtype=object)
answers = [
    ask("picture", "BYTES", picture, False, ["kind", "label", "revision"], {"gallery": gallery}, as_bytes=as_bytes)
    for as_bytes in (False, True)
]
try:
    client.get_model_metadata("nothing")
    refusal = ""
except http.InferenceServerException as error:
    refusal = error.message()
texts = [[answer.as_numpy(name)[0] for name in ("kind", "label")] for answer in answers]
kind, label = texts[0]
assert [text.decode() for text in texts[1]] == [kind, label]
assert answers[0].as_numpy("revision")[0] == answers[1].as_numpy("revision")[0]
print(json.dumps({"embedding": list(embeddings[0].shape), "kind": kind, "label": label, "refusal": refusal}))
