"""Small models, domains and strategies that the tests of strategies with a memory share."""

import torch
from torch import nn

from tests_support import namespace


class SmoothNet(nn.Module):
    """Two layers without BatchNorm: a forward pass leaves nothing behind."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(4 * 4 * 3, 6), nn.Tanh())
        self.head = nn.Linear(6, 2)

    def get_classifier(self):
        return self.head

    def forward(self, x):
        return self.head(self.body(x))


class SpiedSource:
    """A batch source over uint8 images that writes down which rows are read."""

    def __init__(self, images, targets):
        self.pixels, self.targets, self.read = images, targets, []

    def __len__(self):
        return len(self.targets)

    def images(self, index):
        self.read += index.tolist()
        return self.pixels[index]


class Jitter:
    """An augmentation that draws: brightness by sample; pixels to [-1, 1]."""

    def train(self, images, targets, generator):
        return self.eval(images) + 0.2 * torch.rand(len(images), 1, 1, 1, generator=generator)

    def eval(self, images):
        return images.permute(0, 3, 1, 2).float() * (2 / 255) - 1


def domain(number, count=30, side=4):
    """A domain of noise whose fakes are brighter in one channel; every third sample is real."""
    generator = torch.Generator().manual_seed(100 + number)
    targets = (torch.arange(count) % 3 > 0).long()
    pixels = torch.randint(0, 150, (count, side, side, 3), generator=generator)
    pixels[targets == 1, :, :, number % 3] += 60
    return namespace(source=SpiedSource(pixels.to(torch.uint8), targets))


def build(kind, model=None, *, seed=3, lr=0.05, batch=6, epochs=1, **constants):
    """A strategy over a model whose weights depend on nothing but this call."""
    if model is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(11)
            model = SmoothNet()
    return kind(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), lr),
        train_mb_size=batch,
        train_epochs=epochs,
        transform=Jitter(),
        seed=seed,
        **constants,
    )


def learn(strategy, experiences):
    """Train along experiences that have nothing but a batch source."""
    for experience in experiences:
        strategy.train(avalanche(experience), eval_streams=[], num_workers=0)
    return strategy


def avalanche(experience):
    """The experience with what Avalanche's loop asks for beside a source."""
    from tests_support import experience_of

    source = experience.source
    whole = experience_of(source.pixels.permute(0, 3, 1, 2).float(), source.targets)
    whole.source = source
    return whole


def weights(model):
    """All weights and statistics as one vector."""
    return torch.cat([value.flatten().double() for value in model.state_dict().values()])
