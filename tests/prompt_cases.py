"""What the tests of prompts and adapters share: a small vision transformer, domains of noise, training along them."""

from __future__ import annotations

import timm
import torch

from tests_support import experience_of


def vit(seed=0):
    """Build a transformer of two blocks for images of 16 pixels; its weights depend on the seed alone."""
    torch.manual_seed(seed)
    return timm.models.VisionTransformer(
        img_size=16, patch_size=8, embed_dim=16, depth=2, num_heads=2, num_classes=2
    )


def data(seed, count=24, domain=0):
    """Noise about an image that is the domain's own."""
    own = torch.randn(3, 16, 16, generator=torch.Generator().manual_seed(100 + domain)) * 4
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 3, 16, 16, generator=generator)
    y = torch.arange(count) % 2
    return x + own + y[:, None, None, None] * 0.5, y


DOMAINS = tuple(data(number, domain=number) for number in range(4))


def build(kind, model=None, **options):
    """Build a strategy of ``kind`` over a model, a ``vit`` by default, that trains two epochs a domain."""
    model = vit() if model is None else model
    optimizer = torch.optim.AdamW(model.parameters(), 0.01, weight_decay=0.1)
    return kind(model=model, optimizer=optimizer, train_mb_size=8, **{"train_epochs": 2, **options})


def train(strategy, *numbers):
    """Train a strategy on some of the domains; return it, its model in eval mode."""
    for number in numbers:
        torch.manual_seed(number)
        strategy.train(experience_of(*DOMAINS[number], number), eval_streams=[], reset_optimizer_state=True)
    strategy.model.eval()
    return strategy
