"""What an exported graph says of many prepared pictures."""

import numpy as np

from braintumor.inference import Graph, GraphOutput
from braintumor.training.experiment import ExperimentData

_BATCH = 32


def run_graph(graph: Graph, data: ExperimentData) -> GraphOutput:
    """Run all pictures batch by batch; class maps are left out to spare memory."""
    starts = range(0, max(1, len(data.pictures)), _BATCH)
    if not len(data.pictures):
        one = graph.run(np.zeros((1, *data.pictures.shape[1:]), np.uint8))
        tumor_map = None if one.tumor_map is None else one.tumor_map[:0]
        return GraphOutput(one.logits[:0], None, one.features[:0], tumor_map)
    outputs = [graph.run(data.pictures[start : start + _BATCH]) for start in starts]
    maps = [output.tumor_map for output in outputs if output.tumor_map is not None]
    return GraphOutput(
        np.concatenate([output.logits for output in outputs]),
        None,
        np.concatenate([output.features for output in outputs]),
        np.concatenate(maps) if maps else None,
    )
