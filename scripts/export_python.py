"""Opens an exported bundle in Python's onnxruntime and compares its embeddings with those of Node, on the same pictures.

    node dist/cli/main.js export MODEL --out model.onnx
    python scripts/export_python.py model.onnx PICTURES

Needs onnxruntime and numpy (`pip install onnxruntime numpy` in a virtual environment) and the built package (`npm run
build`). Node prepares the pictures and embeds them; Python gets the prepared numbers and runs the same file, so that
what is compared is the model and its metadata. Ends with 0 where all embeddings agree to 1e-4 of their length, with 1
where not, and with 0 and a line that says so where Python lacks a package.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

NODE = """
import { writeFileSync } from "node:fs";
const [root, model, folder, out, most] = process.argv.slice(1);
const at = (room) => import(new URL(`dist/${room}/index.js`, `file://${root}/`));
const { readBundle, encoderOf } = await at("models");
const { listImages, readPicture, toInput } = await at("data");
const encoder = await encoderOf(await readBundle(model));
const { images } = await listImages(folder);
const inputs = [];
for (const path of images.slice(0, Number(most))) inputs.push(toInput(await readPicture(path), encoder.manifest.preprocess));
const { data, n, dim } = await encoder.embed(inputs);
await encoder.close();
writeFileSync(`${out}/inputs`, Buffer.concat(inputs.map((v) => Buffer.from(v.buffer, v.byteOffset, v.byteLength))));
writeFileSync(`${out}/embeddings`, Buffer.from(data.buffer, data.byteOffset, data.byteLength));
console.log(JSON.stringify({ n, dim }));
"""


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__)
        return 2
    try:
        import numpy as np
        import onnxruntime as ort
    except ImportError as missing:
        print(f"skipped: this Python has no {missing.name}; pip install onnxruntime numpy")
        return 0

    model, folder = sys.argv[1:]
    root = pathlib.Path(__file__).resolve().parent.parent
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    manifest = json.loads(session.get_modelmeta().custom_metadata_map["protoline.manifest"])
    with tempfile.TemporaryDirectory() as out:
        said = subprocess.run(
            ["node", "--input-type=module", "-e", NODE, str(root), model, folder, out, "16"],
            check=True,
            capture_output=True,
            text=True,
            cwd=root,
        )
        size = json.loads(said.stdout)
        channels = 1 if manifest["preprocess"]["channels"] == "gray" else 3
        shape = (size["n"], channels, *manifest["preprocess"]["size"])
        inputs = np.fromfile(f"{out}/inputs", np.float32).reshape(shape)
        wanted = np.fromfile(f"{out}/embeddings", np.float32).reshape(size["n"], size["dim"])

    rows = [session.run([manifest["output"]], {manifest["input"]: picture[None]})[0] for picture in inputs]
    got = np.concatenate(rows)
    if got.ndim == 4:
        mean = got.mean((2, 3))
        got = mean if manifest["pooling"] != "meanStd" else np.concatenate([mean, got.std((2, 3))], 1)
    apart = np.linalg.norm(got - wanted, axis=1) / np.linalg.norm(wanted, axis=1)
    print(f"{manifest['name']}: {size['n']} pictures, onnxruntime {ort.__version__}, worst difference {apart.max():.2e}")
    return 0 if apart.max() < 1e-4 else 1


if __name__ == "__main__":
    sys.exit(main())
