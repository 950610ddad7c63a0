from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from aigc.errors import CorruptDataError, InvalidInputError
from aigc.evaluate.generation.inception import Inception, InceptionModule


def test_a_local_file_of_weights_is_opened_and_gives_features(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = InceptionModule()
    # As many as torchvision's inception_v3 without its two heads, against which the outputs were compared: equal.
    assert sum(p.numel() for p in module.parameters()) == 21_785_568
    path = tmp_path / "inception.safetensors"
    save_file({**module.state_dict(), "fc.weight": torch.zeros(1, 1)}, str(path))
    network = Inception(path)
    pixels = np.random.default_rng(0).integers(0, 255, (2, 28, 28, 1)).astype(np.uint8)
    features = network.features(pixels)
    assert features.shape == (2, 2048)
    assert np.isfinite(features).all()
    np.testing.assert_allclose(features, network.features(np.repeat(pixels, 3, axis=3)), rtol=1e-4, atol=1e-5)
    assert len(network.sha256) == 64
    with pytest.raises(InvalidInputError, match="LeNet"):
        network.probabilities(pixels)


def test_files_that_hold_no_inception_network_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "inception.safetensors"
    with pytest.raises(CorruptDataError, match=r"inception\.safetensors"):
        Inception(path)
    path.write_bytes(b"\x80\x04\x95pickle")
    with pytest.raises(CorruptDataError, match=r"inception\.safetensors"):
        Inception(path)
    save_file({"weight": torch.zeros(1)}, str(path))
    with pytest.raises(CorruptDataError, match="names as in torchvision"):
        Inception(path)
