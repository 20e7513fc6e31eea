"""Moments and responses with random numbers, for any mask."""

from dataclasses import replace

import torch

from fia import NeuronMask
from fia.masks.low_rank import Moment, Response
from fia.masks.rewriting import Rewriting, Source


def with_rewriting(mask: NeuronMask, rank: int = 4, seed: int = 0) -> NeuronMask:
    """Returns a mask for the same neurons that rewrites them. One word is near its first concept."""
    generator = torch.Generator().manual_seed(seed)

    def columns(size: int, number: int) -> torch.Tensor:
        return torch.linalg.qr(torch.randn(size, min(size, number), generator=generator)).Q.half()

    def moments(number: int = rank) -> dict[str, Moment]:
        return {
            name: Moment(columns(n, number), torch.rand(min(n, number), generator=generator).sort().values.flip(0), 0.5)
            for name, (_, n) in mask.shapes.items()
        }

    def responses() -> dict[str, Response]:
        ranks = {name: min(2, *shape) for name, shape in mask.shapes.items()}
        return {
            name: Response(columns(o, ranks[name]), torch.ones(ranks[name]), columns(n, ranks[name]))
            for name, (o, n) in mask.shapes.items()
        }

    return replace(
        mask,
        rewriting=Rewriting(
            moments={name: moments() for name in mask.concepts},
            responses={name: responses() for name in mask.concepts},
            sources={
                "base b": Source("base", moments()),
                "named cat": Source("named", moments(3)),
                "words w": Source("words", moments(), 9),
                "near w chapel": Source("near", moments(2)),
            },
            near={mask.concepts[0]: ("near w chapel",)},
            retain_weight=1.5,
            ridge=0.01,
        ),
    )
