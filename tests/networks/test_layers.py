import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import expit, softmax

from braintumor.networks.layers import JointLogits, RegionPooling, TopMean

LOGIT = st.floats(-30, 30, width=32)


def _numpy(values):
    return keras.ops.convert_to_numpy(values)


@settings(max_examples=60)
@given(hnp.arrays(np.float32, (4, 3), elements=LOGIT), hnp.arrays(np.float32, (4, 1), elements=LOGIT))
def test_joint_logits_are_those_of_a_tumor_and_its_kind(kinds, tumor):
    found = softmax(_numpy(JointLogits()([kinds, tumor])).astype(np.float64), axis=1)
    p_tumor = expit(tumor.astype(np.float64))
    np.testing.assert_allclose(found[:, :3], p_tumor * softmax(kinds.astype(np.float64), axis=1), atol=1e-5)
    np.testing.assert_allclose(found[:, 3:], 1 - p_tumor, atol=1e-5)


@settings(max_examples=40)
@given(
    st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(
        lambda sides: hnp.arrays(np.float32, (2, *sides, 1), elements=st.floats(-20, 20, width=32))
    ),
    st.integers(1, 9000),
    st.floats(-2, 2, width=32),
    st.floats(-2, 2, width=32),
)
def test_top_mean_is_the_mean_of_the_highest_cells(values, cells, scale, shift):
    layer = TopMean(cells)
    layer.build(values.shape)
    layer.set_weights([np.float32(scale), np.float32(shift)])
    area = values.shape[1] * values.shape[2]
    count = max(1, round(cells * area / 96**2))
    highest = np.sort(values.reshape(2, area), axis=1)[:, ::-1][:, :count]
    expected = highest.mean(axis=1, keepdims=True) * scale + shift
    np.testing.assert_allclose(_numpy(layer(values)), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("side", "count"), [(96, 40), (48, 10), (24, 2), (192, 160), (4, 1)])
def test_top_mean_takes_the_same_share_of_a_map_of_any_size(side, count):
    hot = np.zeros((1, side * side), np.float32)
    hot[0, :count] = 1
    layer = TopMean()
    assert float(_numpy(layer(hot.reshape(1, side, side, 1)))[0, 0]) == 1
    hot[0, count - 1] = 0
    assert float(_numpy(layer(hot.reshape(1, side, side, 1)))[0, 0]) == pytest.approx(1 - 1 / count)


def _region_pooled(features, tumor_map, region, whole):
    factor = tumor_map.shape[1] // features.shape[1]
    count, height, width, _ = features.shape
    chance = expit(tumor_map).reshape(count, height, factor, width, factor, 1).mean(axis=(2, 4)) + 1e-3
    where = (features * chance).sum(axis=(1, 2)) / chance.sum(axis=(1, 2))
    return whole * features.mean(axis=(1, 2)) + region * where


@settings(max_examples=40)
@given(
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 8),
    st.sampled_from([(True, True), (True, False), (False, True)]),
    st.integers(0, 2**32 - 1),
)
def test_region_pooling_is_the_mean_of_the_slice_and_of_the_region(side, channels, factor, parts, seed):
    random = np.random.default_rng(seed)
    features = random.normal(size=(2, side, side, channels)).astype(np.float32)
    tumor_map = random.normal(0, 4, (2, side * factor, side * factor, 1)).astype(np.float32)
    found = _numpy(RegionPooling(*parts)([features, tumor_map]))
    np.testing.assert_allclose(found, _region_pooled(features, tumor_map, *parts), rtol=1e-3, atol=1e-4)


def test_an_empty_map_counts_the_whole_slice_alike():
    features = np.random.default_rng(0).normal(size=(1, 3, 3, 5)).astype(np.float32)
    nothing = np.full((1, 24, 24, 1), -1e4, np.float32)
    found = _numpy(RegionPooling(whole=False)([features, nothing]))
    np.testing.assert_allclose(found, features.mean(axis=(1, 2)), rtol=1e-5)


def test_a_hot_corner_pools_the_features_below_it():
    features = np.zeros((1, 3, 3, 2), np.float32)
    features[0, 0, 2] = (5, -7)
    hot = np.full((1, 24, 24, 1), -50, np.float32)
    hot[0, :8, 16:] = 50
    np.testing.assert_allclose(_numpy(RegionPooling(whole=False)([features, hot])), [(5, -7)], rtol=0.02)


def test_no_gradient_flows_from_the_pooled_features_into_the_map():
    random = np.random.default_rng(0)
    features = tf.Variable(random.normal(size=(1, 3, 3, 2)).astype(np.float32))
    tumor_map = tf.Variable(random.normal(size=(1, 6, 6, 1)).astype(np.float32))
    with tf.GradientTape() as tape:
        pooled = tf.reduce_sum(RegionPooling()([features, tumor_map]) ** 2)
    to_features, to_map = tape.gradient(pooled, [features, tumor_map])
    assert np.abs(to_features.numpy()).min() > 0
    assert to_map is None


@pytest.mark.parametrize(
    ("layer", "settings"),
    [(TopMean(7, name="mine"), {"cells": 7}), (RegionPooling(region=False), {"region": False, "whole": True})],
)
def test_layers_survive_their_config(layer, settings):
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(copy) is type(layer)
    assert copy.name == layer.name
    assert {name: getattr(copy, name) for name in settings} == settings
