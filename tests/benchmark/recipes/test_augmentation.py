import dataclasses

import numpy as np
import pytest
import torch

from fretal_bench.benchmark.recipes.augmentation import Augmentation
from fretal_bench.benchmark.recipes.recipe import Recipe

OFF = Recipe(flip=0, shift=0, brightness=0, contrast=0, cutmix=0)


def images(count=64, size=9, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, size, size, 3), generator=generator, dtype=torch.uint8)


def normalised(batch):
    return (batch.permute(0, 3, 1, 2).double() / 255 - 0.5) / 0.5


def draw(recipe, batch, targets=None, seed=0):
    targets = torch.arange(len(batch)) % 2 if targets is None else targets
    return Augmentation(recipe).train(batch, targets, torch.Generator().manual_seed(seed))


def test_without_augmentation_pixels_are_normalised_and_nothing_else():
    batch = images()
    torch.testing.assert_close(draw(OFF, batch).double(), normalised(batch), rtol=0, atol=1e-6)
    torch.testing.assert_close(Augmentation(OFF).eval(batch).double(), normalised(batch), rtol=0, atol=1e-6)


OTHERS = [((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), ((0.0, 0.5, 1.0), (1.0, 0.5, 0.25))]


def rescaled(batch, mean, std):
    """Images scaled by 0.5 scaled by ``mean`` and ``std`` instead, in double precision."""
    mean, std = (torch.tensor(part, dtype=torch.float64)[:, None, None] for part in (mean, std))
    return ((batch.double() * 0.5 + 0.5) - mean) / std


@pytest.mark.parametrize(("mean", "std"), OTHERS)
@pytest.mark.parametrize("channels_last", [True, False])
def test_pixels_are_scaled_by_mean_and_deviation_of_each_channel(mean, std, channels_last):
    batch = images()
    expected = np.stack(
        [(batch[..., k].numpy() / 255 - m) / s for k, (m, s) in enumerate(zip(mean, std, strict=True))], 1
    )
    recipe = dataclasses.replace(OFF, mean=mean, std=std, channels_last=channels_last)
    for got in (Augmentation(recipe).eval(batch), draw(recipe, batch)):
        assert got.dtype == torch.float32
        assert got.is_contiguous(
            memory_format=torch.channels_last if channels_last else torch.contiguous_format
        )
        np.testing.assert_allclose(got.numpy(), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize(("mean", "std"), OTHERS)
def test_augmentation_is_the_same_whatever_pixels_are_scaled_by(mean, std):
    """Brightness, contrast and CutMix as with 0.5, on the same draws; and resizing."""
    batch = images(32, 16)
    half = Recipe(brightness=0.2, contrast=0.4, cutmix=1.0, image_size=24)
    other = dataclasses.replace(half, mean=mean, std=std)
    for seed in range(4):
        expected = rescaled(draw(half, batch, seed=seed), mean, std)
        torch.testing.assert_close(draw(other, batch, seed=seed).double(), expected, rtol=0, atol=4e-6)
    expected = rescaled(Augmentation(half).eval(batch), mean, std)
    torch.testing.assert_close(Augmentation(other).eval(batch).double(), expected, rtol=0, atol=4e-6)


def test_pixels_scaled_by_half_are_what_they_always_were_to_the_bit():
    """The formula of versions that knew no other scaling, and that it is the same whether it is named or not."""
    batch = images()
    before = batch.permute(0, 3, 1, 2).float().mul(2 / 255).sub(1)
    named = dataclasses.replace(OFF, mean=0.5, std=0.5)
    assert torch.equal(Augmentation(OFF).eval(batch), before)
    assert torch.equal(Augmentation(named).eval(batch), before)
    recipe = Recipe(cutmix=0.5)
    assert torch.equal(draw(dataclasses.replace(recipe, mean=0.5, std=0.5), batch), draw(recipe, batch))


def test_flip_mirrors_about_half_of_the_images_and_only_left_to_right():
    batch = images(400)
    got, plain = draw(dataclasses.replace(OFF, flip=0.5), batch), Augmentation(OFF).eval(batch)
    mirrored = torch.tensor([torch.equal(g, p.flip(-1)) for g, p in zip(got, plain, strict=True)])
    same = torch.tensor([torch.equal(g, p) for g, p in zip(got, plain, strict=True)])
    assert (mirrored ^ same).all()
    assert 140 < int(mirrored.sum()) < 260


def test_shift_moves_every_image_as_a_whole_and_repeats_its_edges():
    batch = images(300)
    got = draw(dataclasses.replace(OFF, shift=2), batch)
    padded = torch.nn.functional.pad(Augmentation(OFF).eval(batch), (2, 2, 2, 2), mode="replicate")
    seen = set()
    for g, p in zip(got, padded, strict=True):
        fits = [(y, x) for y in range(5) for x in range(5) if torch.equal(g, p[:, y : y + 9, x : x + 9])]
        assert len(fits) == 1
        seen.add(fits[0])
    assert len(seen) == 25


def test_brightness_and_contrast_stay_in_their_bounds():
    batch = torch.full((500, 4, 4, 3), 191, dtype=torch.uint8)
    value = float(normalised(batch)[0, 0, 0, 0])
    got = draw(dataclasses.replace(OFF, brightness=0.1), batch)[:, 0, 0, 0] - value
    assert got.abs().max() <= 0.2 + 1e-6
    assert got.min() < -0.15
    assert got.max() > 0.15
    got = draw(dataclasses.replace(OFF, contrast=0.3), batch)[:, 0, 0, 0] / value
    assert got.min() >= 0.7 - 1e-5
    assert got.max() <= 1.3 + 1e-5
    assert got.max() - got.min() > 0.5


def test_cutmix_pastes_one_box_from_the_opposite_class_only():
    batch = images(32, 16)
    targets = torch.arange(32) % 2
    batch[targets == 0, ..., 0] = 0
    batch[targets == 1, ..., 0] = 255
    recipe = dataclasses.replace(OFF, cutmix=1.0)
    areas = []
    for seed in range(40):
        got = draw(recipe, batch, targets, seed)
        red = got[:, 0]
        other = torch.where(targets[:, None, None] == 0, red > 0, red < 0)
        assert (other == other[0]).all(), "the same box in every sample"
        if other[0].any():
            rows, columns = other[0].any(1).nonzero().flatten(), other[0].any(0).nonzero().flatten()
            assert other[0][rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        areas.append(float(other[0].float().mean()))
    assert min(areas) < 0.05
    assert max(areas) > 0.4


def test_cutmix_happens_as_often_as_said_and_never_with_one_class():
    batch = images(8, 16)
    recipe = dataclasses.replace(OFF, cutmix=0.2)
    plain = Augmentation(OFF).eval(batch)
    changed = sum(not torch.equal(draw(recipe, batch, seed=s), plain) for s in range(300))
    assert 30 < changed < 80
    torch.testing.assert_close(
        draw(dataclasses.replace(OFF, cutmix=1.0), batch, torch.zeros(8).long()), plain
    )


def test_draws_depend_on_the_generator_alone_and_one_option_does_not_move_anothers():
    batch, recipe = images(), Recipe(cutmix=0.5)
    assert torch.equal(draw(recipe, batch, seed=5), draw(recipe, batch, seed=5))
    assert not torch.equal(draw(recipe, batch, seed=5), draw(recipe, batch, seed=6))
    with_shift = draw(dataclasses.replace(OFF, flip=0.5, brightness=0.0), batch, seed=1)
    again = draw(dataclasses.replace(OFF, flip=0.5, contrast=1e-9), batch, seed=1)
    torch.testing.assert_close(with_shift, again, atol=1e-6, rtol=0)


@pytest.mark.parametrize("size", [0, 9, 18])
def test_images_are_resized_only_when_the_recipe_asks_for_another_size(size):
    got = Augmentation(dataclasses.replace(OFF, image_size=size)).eval(images(4))
    assert got.shape == (4, 3, size or 9, size or 9)
    assert got.is_contiguous(memory_format=torch.channels_last)
