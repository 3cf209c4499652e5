"""The one network that is not trained by gradients of its own: scikit-learn finds its weights."""

import time
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from braintumor.bundles import HISTORY_FILE
from braintumor.errors import InputError
from braintumor.networks.registry import CLASSIFIER_LAYER
from braintumor.taxonomy import ANY_TUMOR, CLASSES, NO_TUMOR
from braintumor.training.experiment import ExperimentData
from braintumor.training.losses import MarginalCrossEntropy, accuracy_for
from braintumor.training.sampling import allowed_classes

_MOST_STEPS = 2000


def fit_logistic(model: keras.Model, train: ExperimentData, validation: ExperimentData, folder: Path) -> keras.Model:
    """Set the classifier's weights to those of scikit-learn's ``LogisticRegression`` on what the classifier sees.

    Each picture counts once a dataset; tumors of unknown kind are left out where kinds are told apart. ``folder`` gets
    a history of one line. Raises ``InputError`` when a class has no picture.
    """
    # Nothing but this needs it at training.
    from sklearn.linear_model import LogisticRegression

    started = time.perf_counter()
    classifier = model.get_layer(CLASSIFIER_LAYER)
    is_binary = classifier.units == 1
    names = [NO_TUMOR, ANY_TUMOR] if is_binary else list(CLASSES)
    labels = train.index["label"].to_numpy(dtype=str)
    if is_binary:
        labels = np.where(labels == NO_TUMOR, NO_TUMOR, ANY_TUMOR)
    missing = set(names) - set(labels)
    if missing:
        raise InputError(f"Logistic regression needs pictures of every class; there is none of {sorted(missing)[0]}.")
    taught = np.isin(labels, names)
    pixels = keras.Model(model.input, classifier.input).predict(_as_input(train), verbose=0)
    numbers = [names.index(label) for label in labels[taught]]
    found = LogisticRegression(max_iter=_MOST_STEPS).fit(pixels[taught], numbers)
    classifier.set_weights([found.coef_.T, found.intercept_])
    row = {"epoch": 1, **_measured(model, train, ""), **_measured(model, validation, "val_")}
    folder.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame([{**row, "seconds": round(time.perf_counter() - started, 1)}])
    table.to_csv(folder / HISTORY_FILE, index=False)
    return model


def _as_input(data: ExperimentData) -> NDArray[np.float32]:
    return data.pictures[..., np.newaxis].astype(np.float32)


def _measured(model: keras.Model, data: ExperimentData, prefix: str) -> dict[str, float]:
    logits = model.predict(_as_input(data), verbose=0)["logits"]
    allowed = allowed_classes(data.index["label"])
    return {
        f"{prefix}loss": float(MarginalCrossEntropy()(allowed, logits)),
        f"{prefix}accuracy": float(keras.ops.mean(accuracy_for(model)(allowed, logits))),
    }
