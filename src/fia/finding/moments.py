"""Collects second moments and responses while activations arrive, in sketches of a few columns (docs/method.md, 9).

A moment A = mean x x^T has as many numbers as the layer's inputs squared, too many to keep for every concept. So we
keep A Omega for a fixed random Omega of a few columns, and the trace of A. Its leading eigenvectors follow by Nystrom's
method (Tropp et al., NeurIPS 2017, arXiv 1706.05736). A response R = mean (y_b - y_c) x_c^T is kept as R Omega and
R^T Psi, from which its leading singular vectors follow in one pass (Tropp et al., SIAM J. Matrix Anal. Appl. 2017,
arXiv 1609.00048). Where a layer is hardly wider than Omega, Omega is the identity, and nothing is lost.

A response pairs the tokens of two prompts with the same seed, by their place and step. So the outputs of the base
prompts are kept from their pass to the end of the concepts' passes at the same step.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from ..masks.low_rank import Moment, Response
from .sums import by_source

MOMENT_COLUMNS = 96  # of Omega
RESPONSE_COLUMNS = 32  # of Psi
MOST_TOKENS = 256  # of a prompt at a step; neighbouring tokens are much alike


@lru_cache(maxsize=64)
def test_matrix(size: int, columns: int, device: torch.device) -> Float[Tensor, "size columns"]:
    """Returns a fixed random matrix with orthonormal columns, or the identity if twice the columns would be enough."""
    if size <= 2 * columns:
        return torch.eye(size, device=device)
    generator = torch.Generator().manual_seed(size)
    columns_of: Tensor = torch.linalg.qr(torch.randn(size, columns, generator=generator, dtype=torch.float64)).Q
    return columns_of.float().to(device)


@lru_cache(maxsize=256)
def positions(tokens: int, device: torch.device) -> Tensor:
    """Returns the tokens of a prompt that count: all of them, or MOST_TOKENS in fixed random places, ascending."""
    if tokens <= MOST_TOKENS:
        return torch.arange(tokens, device=device)
    chosen = torch.randperm(tokens, generator=torch.Generator().manual_seed(tokens))[:MOST_TOKENS]
    return chosen.sort().values.to(device)


def signs(vectors: Float[Tensor, "size k"]) -> Float[Tensor, " k"]:
    """Returns the sign of the largest entry of each column.

    A decomposition leaves the signs of its vectors open, and they may change from one run to the next. With the largest
    entry positive, the same concepts always give the same mask.
    """
    largest = vectors.gather(0, vectors.abs().argmax(dim=0, keepdim=True))[0]
    return torch.where(largest < 0, -1.0, 1.0).to(vectors.dtype)


class MomentSketch:
    """The sketch of one source's mean x x^T in one layer."""

    def __init__(self) -> None:
        self.tokens, self.trace = 0, 0.0
        self.product: Tensor | float = 0.0  # sum x (x^T Omega), (inputs, columns)

    def add(self, inputs: Float[Tensor, "tokens inputs"]) -> Float[Tensor, "tokens columns"]:
        """Adds tokens, float32; returns x^T Omega for each."""
        seen = inputs @ test_matrix(inputs.shape[1], MOMENT_COLUMNS, inputs.device)
        self.product = self.product + inputs.mT @ seen
        self.trace += float(inputs.square().sum())
        self.tokens += len(inputs)
        return seen

    def include(self, other: "MomentSketch") -> None:
        """Adds the tokens of another sketch."""
        self.product = self.product + other.product
        self.trace += other.trace
        self.tokens += other.tokens

    def on_cpu(self) -> "MomentSketch":
        """Moves the sketch to the CPU and returns it."""
        assert isinstance(self.product, Tensor)
        self.product = self.product.cpu()
        return self

    def low_rank(self, rank: int) -> Moment:
        """Returns the moment by its `rank` leading eigenvectors, on the CPU."""
        assert isinstance(self.product, Tensor)
        product = self.product.double().cpu() / self.tokens
        inputs = len(product)
        omega = test_matrix(inputs, MOMENT_COLUMNS, torch.device("cpu")).double()
        core = omega.T @ product
        sizes, turn = torch.linalg.eigh((core + core.T) / 2)
        seen = sizes > torch.finfo(torch.float32).eps * sizes.max()  # the others are rounding errors
        vectors, roots, _ = torch.linalg.svd(product @ turn[:, seen] / sizes[seen].sqrt(), full_matrices=False)
        missing = max(0, min(rank, inputs) - len(roots))  # if there were few tokens
        vectors = F.pad(vectors[:, :rank], (0, missing))
        values = F.pad(roots.square()[:rank], (0, missing))
        others = max(1, inputs - len(values))
        rest = max(0.0, (self.trace / self.tokens - float(values.sum())) / others)
        stored = torch.tensor(rest, dtype=torch.float32).item()  # as a file has it
        return Moment((vectors * signs(vectors)).half().contiguous(), values.float(), stored)


class ResponseSketch:
    """The sketch of one concept's mean (y_b - y_c) x_c^T in one layer."""

    def __init__(self) -> None:
        self.tokens = 0
        self.product: Tensor | float = 0.0  # R Omega, (outputs, columns)
        self.transposed: Tensor | float = 0.0  # R^T Psi, (inputs, columns)

    def add(
        self,
        lacking: Float[Tensor, "tokens outputs"],
        inputs: Float[Tensor, "tokens inputs"],
        seen: Float[Tensor, "tokens columns"],
    ) -> None:
        """Adds tokens: y_b - y_c, x_c and x_c^T Omega, float32."""
        psi = test_matrix(lacking.shape[1], RESPONSE_COLUMNS, lacking.device)
        self.product = self.product + lacking.mT @ seen
        self.transposed = self.transposed + inputs.mT @ (lacking @ psi)
        self.tokens += len(inputs)

    def low_rank(self, rank: int) -> Response:
        """Returns the response by its `rank` leading singular vectors, on the CPU."""
        assert isinstance(self.product, Tensor)
        assert isinstance(self.transposed, Tensor)
        product, transposed = (part.double().cpu() / self.tokens for part in (self.product, self.transposed))
        omega = test_matrix(len(transposed), MOMENT_COLUMNS, torch.device("cpu")).double()
        rows = torch.linalg.svd(transposed, full_matrices=False).U  # spans the rows of R
        onto = torch.linalg.lstsq(omega.T @ rows, product.T).solution.T  # R rows, as R Omega = R rows rows^T Omega
        left, values, right = torch.linalg.svd(onto, full_matrices=False)
        left, right = left[:, :rank], rows @ right[:rank].T
        turn = signs(left)
        return Response((left * turn).half().contiguous(), values[:rank].float(), (right * turn).half().contiguous())


class LayerSketches:
    """The sketches of one layer, and what the base prompts gave at the present step."""

    def __init__(self, concepts: int) -> None:
        self.base = MomentSketch()
        self.moments = [MomentSketch() for _ in range(concepts)]
        self.responses = [ResponseSketch() for _ in range(concepts)]
        self.outputs: dict[int, tuple[int, Tensor]] = {}  # by prompt: number of all tokens, outputs of the chosen ones


class GroupSketches:
    """Receives the inputs and outputs of rows, for concepts that share their base prompts.

    Row r of a step belongs to base prompt r if r < P, and otherwise to prompt (r mod P) of concept (r // P - 1).
    """

    def __init__(self, layers: Iterable[str], concepts: int, prompts_per_concept: int, *, from_end: bool) -> None:
        """Starts with no row.

        Args:
            layers: names of the layers.
            concepts: number of concepts.
            prompts_per_concept: P, the number of base prompts, and of prompts of each concept.
            from_end: whether to count tokens from the end, because a layer sees the text before the image. It matters
                only if two paired prompts have different numbers of tokens.
        """
        self.layers = {name: LayerSketches(concepts) for name in layers}
        self.concepts, self.prompts, self.from_end = concepts, prompts_per_concept, from_end

    def receive(self, layer: str, rows: range, inputs: Tensor, outputs: Tensor) -> None:
        """Takes the inputs (rows, tokens, inputs) and outputs (rows, tokens, outputs) of some rows of a layer."""
        for source, prompts, part in by_source(rows, self.prompts):
            if source == 0:
                self._add_base(self.layers[layer], prompts, inputs[part], outputs[part])
            else:
                self._add_concept(self.layers[layer], source - 1, prompts, inputs[part], outputs[part])

    def _add_base(self, layer: LayerSketches, prompts: range, inputs: Tensor, outputs: Tensor) -> None:
        places = self._places(inputs)
        layer.base.add(inputs[:, places].flatten(0, 1).float())
        layer.outputs |= zip(prompts, ((inputs.shape[1], kept) for kept in outputs[:, places].clone()), strict=True)

    def _add_concept(self, layer: LayerSketches, concept: int, prompts: range, inputs: Tensor, outputs: Tensor) -> None:
        places = self._places(inputs)
        tokens, kept = zip(*(layer.outputs[prompt] for prompt in prompts), strict=True)
        if set(tokens) == {inputs.shape[1]}:
            x, lacking = inputs[:, places], torch.stack(kept).float() - outputs[:, places].float()
            x, lacking = x.flatten(0, 1).float(), lacking.flatten(0, 1)
        else:
            x, lacking = self._in_common(inputs, outputs, tokens, kept)
        seen = layer.moments[concept].add(x)
        layer.responses[concept].add(lacking, x, seen)
        if concept + 1 == self.concepts and prompts.stop == self.prompts:
            layer.outputs.clear()

    def _in_common(
        self, inputs: Tensor, outputs: Tensor, tokens: Sequence[int], kept: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Returns x_c and y_b - y_c of the tokens that both prompts of each pair have."""
        xs, lacking = [], []
        for x, y, number, base in zip(inputs, outputs, tokens, kept, strict=True):
            places = positions(number, x.device)
            common = places < len(x)
            places = len(x) - 1 - places[common] if self.from_end else places[common]
            xs.append(x[places].float())
            lacking.append(base[common].float() - y[places].float())
        return torch.cat(xs), torch.cat(lacking)

    def _places(self, inputs: Tensor) -> Tensor:
        places = positions(inputs.shape[1], inputs.device)
        return inputs.shape[1] - 1 - places if self.from_end else places


class SourceMoments:
    """Receives the inputs of rows, for sources with the same number of prompts each, one source after another."""

    def __init__(self, layers: Iterable[str], sources: int, prompts_per_source: int) -> None:
        self.layers = {name: [MomentSketch() for _ in range(sources)] for name in layers}
        self.prompts = prompts_per_source

    def receive(self, layer: str, rows: range, inputs: Tensor) -> None:
        """Takes the inputs (rows, tokens, inputs) of some rows of a layer."""
        chosen = inputs[:, positions(inputs.shape[1], inputs.device)].float()
        for row, x in zip(rows, chosen, strict=True):
            self.layers[layer][row // self.prompts].add(x)
