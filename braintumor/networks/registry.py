"""One list of all networks; it drives training, comparison, export and the tests."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from braintumor.errors import InputError
from braintumor.networks import (
    alexnet,
    cnn240,
    cnn512,
    efficient_unet,
    ensemble,
    lenet,
    logistic,
    manual_cnn,
    resnet50,
    squeeze_unet,
    squeezenet,
    vgg16,
)
from braintumor.networks.heads import check_task
from braintumor.networks.imagenet import IMAGENET
from braintumor.taxonomy import FOUR_CLASS, Loss

FEATURE_LAYER = "features"
"""Layer whose output, (n, height, width, channels), is the last feature map of a network that has one."""

CLASSIFIER_LAYER = "classifier"
"""Layer with a unit for each of ``CLASSES``, in order, or one for tumor; beside a map it has none for "notumor"."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network that can be built and trained.

    ``title`` names it to readers, ``source`` says who published it, ``reported`` what its authors claim, "" where
    nothing is known. ``size`` is the square input it was made for in pixels. ``recipe`` (of
    ``training.recipes.RECIPES``), ``loss`` (of ``training.losses.LOSSES``, for four classes), ``learning_rate`` and
    ``epochs`` are those it was published with, as far as they are known. ``downloads`` tells whether
    ``keras.applications`` has ImageNet weights of it. ``members`` are trained in its place and then averaged.

    ``early_layers`` name the layers which, beside the last feature map, tell scans from pictures of another kind: by
    the means of their maps, or as they are where they are vectors. The center of the last feature map's first cell
    lies ``first`` pixels from the picture's edge, the others ``step`` apart; without a ``feature_map``, which Grad-CAM
    needs, the cells of its heatmaps are pixels. ``closed_form`` tells whether Grad-CAM is in the exported graph: global
    average pooling and one dense layer follow the features (of a network with a map, where it tells kinds).
    """

    name: str
    title: str
    size: int
    source: str
    reported: str = ""
    recipe: str = "untied"
    epochs: int = 40
    learning_rate: float = 1e-3
    loss: Loss = "marginal"
    early_layers: tuple[str, ...] = ()
    first: float = 0.5
    step: float = 1.0
    feature_map: bool = True
    closed_form: bool = False
    downloads: bool = False
    members: tuple[str, ...] = ()
    build: Callable[..., keras.Model]

    def start(self, size: int | None = None, weights: Path | str | None = None, task: str = FOUR_CLASS) -> keras.Model:
        """Build it, for ``build`` below; raises ``InputError`` for weights that it cannot have or an unknown task."""
        check_task(task)
        if weights == IMAGENET and not self.downloads:
            able = ", ".join(network.name for network in NETWORKS.values() if network.downloads)
            raise InputError(
                f"There are no ImageNet weights of {self.name} to fetch, only of {able}; name a file, or omit "
                "--weights."
            )
        return self.build(size or self.size, weights, task)

    @property
    def heatmap(self) -> dict[str, Any]:
        """Where the cells of its heatmaps lie, as the card of a bundle has it."""
        return {"first": self.first, "step": self.step, "feature_map": self.feature_map}


_TUTORIALS = "A plain CNN as in public notebooks on these sets; layers as published"

NETWORKS: dict[str, Network] = {
    network.name: network
    for network in (
        Network(
            name="efficient_unet",
            title="EfficientNet U-Net",
            size=192,
            source="The first stages of EfficientNet-Lite0 (Tan & Le 2019, arXiv:1905.11946, without "
            "squeeze-and-excitation) as encoder of the same U-Net as SqueezeNet U-Net's",
            recipe="warped",
            epochs=40,
            early_layers=("block3_expand_relu", "block5_expand_relu"),
            first=10.5,
            step=16.0,
            closed_form=True,
            build=efficient_unet.build,
        ),
        Network(
            name="squeeze_unet",
            title="SqueezeNet U-Net",
            size=192,
            source="SqueezeNet 1.1 (Iandola et al. 2016, arXiv:1602.07360) with batch normalization as encoder of a "
            "light U-Net (Ronneberger et al. 2015, arXiv:1505.04597) that compares each place with the other side's",
            recipe="warped",
            epochs=50,
            early_layers=("fire3_norm", "fire5_norm"),
            first=10.5,
            step=16.0,
            closed_form=True,
            build=squeeze_unet.build,
        ),
        Network(
            name="squeezenet",
            title="SqueezeNet 1.1",
            size=192,
            source="SqueezeNet 1.1, Iandola et al. 2016, arXiv:1602.07360, with batch normalization and a linear head",
            early_layers=("fire3_norm", "fire5_norm"),
            first=15.5,
            step=16.0,
            closed_form=True,
            build=squeezenet.build,
        ),
        Network(
            name="cnn240",
            title="CNN, 240 px",
            size=240,
            source=_TUTORIALS,
            reported="Its authors report, for tumor or not, an accuracy of 94.6% and an F1 of 0.93 on test (Navoneel), "
            "and 98.9% on validation, trained on Br35H.",
            recipe="unchanged",
            epochs=24,
            loss="categorical",
            first=1.5,
            step=1.0,
            build=cnn240.build,
        ),
        Network(
            name="cnn512",
            title="CNN, dense 512",
            size=128,
            source=_TUTORIALS,
            reported="Its authors report an accuracy of 90% for tumor or not.",
            recipe="turned_cropped",
            epochs=30,
            loss="categorical",
            first=19.0,
            step=8.0,
            build=cnn512.build,
        ),
        Network(
            name="lenet",
            title="LeNet-5",
            size=128,
            source="LeNet-5, LeCun et al. 1998, Proceedings of the IEEE 86:2278, adapted to the input",
            recipe="zoom_flip",
            epochs=30,
            loss="categorical",
            first=7.0,
            step=2.0,
            build=lenet.build,
        ),
        Network(
            name="alexnet",
            title="AlexNet",
            size=192,
            source="AlexNet, Krizhevsky et al. 2012, NeurIPS, adapted to the input, with batch normalization",
            recipe="zoom_flip",
            epochs=30,
            learning_rate=1e-4,
            loss="categorical",
            first=17.5,
            step=16.0,
            build=alexnet.build,
        ),
        Network(
            name="manual_cnn",
            title="CNN, plain",
            size=128,
            source="A plain CNN of three convolutions, written by hand",
            recipe="zoom_flip",
            epochs=30,
            loss="categorical",
            first=2.0,
            step=4.0,
            build=manual_cnn.build,
        ),
        Network(
            name="vgg16",
            title="VGG16",
            size=128,
            source="VGG16, Simonyan & Zisserman 2014, arXiv:1409.1556; of ImageNet weights the last three convolutions "
            "are trained",
            recipe="brightness_contrast",
            epochs=20,
            learning_rate=1e-4,
            loss="categorical",
            early_layers=("block2_conv2", "block3_conv3"),
            first=8.0,
            step=16.0,
            downloads=True,
            build=vgg16.build,
        ),
        Network(
            name="resnet50",
            title="ResNet-50",
            size=128,
            source="ResNet-50, He et al. 2015, arXiv:1512.03385, trained as a whole",
            recipe="unchanged",
            epochs=20,
            learning_rate=1e-4,
            loss="categorical",
            early_layers=("conv2_block3_out", "conv3_block4_out"),
            first=0.5,
            step=32.0,
            closed_form=True,
            downloads=True,
            build=resnet50.build,
        ),
        Network(
            name="ensemble",
            title="VGG16 and ResNet-50",
            size=128,
            source="The average of the probabilities of VGG16 and ResNet-50, each trained by itself",
            reported="Its authors report an accuracy of 91.05% for the ensemble trained federated. Of single networks "
            "others report 98.69% with federated averaging (FedAvg) over even sites and 93% over uneven ones.",
            recipe="brightness_contrast",
            epochs=20,
            learning_rate=1e-4,
            loss="categorical",
            early_layers=("vgg16_block3_conv3", "vgg16_features", "resnet50_conv3_block4_out", "resnet50_features"),
            feature_map=False,
            downloads=True,
            members=ensemble.MEMBERS,
            build=ensemble.build,
        ),
        Network(
            name="logistic",
            title="Logistic regression",
            size=128,
            source="Logistic regression of scikit-learn on 32 × 32 pixels",
            recipe="unchanged",
            epochs=1,
            loss="categorical",
            early_layers=("pixels",),
            feature_map=False,
            build=logistic.build,
        ),
    )
}


def registered(name: str) -> Network:
    """Give a network by its name; raises ``InputError`` for one that is not registered."""
    if name not in NETWORKS:
        raise InputError(f"The network is {name!r}; it must be one of {', '.join(NETWORKS)}.")
    return NETWORKS[name]


def build(
    name: str, *, size: int | None = None, weights: Path | str | None = None, task: str = FOUR_CLASS
) -> keras.Model:
    """Build a network: input (n, size, size, 1) gray from 0 to 255, output {"logits": (n, 4)}.

    Logits are in the order of ``CLASSES``. A network that locates tumors adds "map", logits (n, height, width, 1).
    ``weights`` is a file of ImageNet weights to start from, or "imagenet" to fetch them. With the task "binary" the
    three kinds are equally likely. Raises ``InputError`` for a name that is not registered, for weights that the
    network cannot have, and for a task that is none of ``TASKS``.
    """
    return registered(name).start(size, weights, task)
