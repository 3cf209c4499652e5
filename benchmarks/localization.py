"""Map, four probabilities and heatmap from one pass, against a plain classifier with a light encoder."""

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.alternation import alternate
from benchmarks.pictures import jpegs
from benchmarks.result import Result
from braintumor import settings
from braintumor.bundles import GRAPH_FILE, load_bundle
from braintumor.inference import Graph
from braintumor.networks import build
from braintumor.scans import prepare, read
from braintumor.training.export import export_graph


def run() -> Result:
    configured = settings.load()
    bundle = load_bundle(configured.models_dir / configured.model)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / GRAPH_FILE
        # How long a pass takes does not depend on the weights.
        export_graph(build("squeezenet", size=bundle.size), path)
        plain, ours = Graph(path), Graph.of(bundle)
    images = [prepare(read(data, "scan.jpg").pixels[0], bundle.size).image[np.newaxis] for data in jpegs(100)]
    located, classified = alternate(ours.run, plain.run, images)
    detail = f"median {1000 * located:.2f} ms against {1000 * classified:.2f} ms for a plain SqueezeNet with Grad-CAM"
    return Result("one pass with tumor map", located / classified, 2, "× the classifier's time", detail, at_most=True)
