"""Solves for the values that a mask writes: D of formulas (10) to (12) in section 9 of docs/method.md, for one layer.

H is a sum of low-rank moments. So we write it as B B^T + delta I, with as few columns in B as there are directions that
matter, and solve a row with the selected columns S by the identity of Woodbury:

    inv(H[S, S]) = (I - B_S inv(delta I + B_S^T B_S) B_S^T) / delta

If a row has fewer selected columns than B has columns, we solve with H[S, S] itself. If a layer's rows are whole, one
factorisation serves all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..errors import DataError
from .low_rank import Moment, Response

NUMBERS_AT_ONCE = 2**25  # float64 numbers of a batch of rows
NEGLIGIBLE = 1e-3  # eigenvalues below this share of delta are left out of B


@dataclass(frozen=True, eq=False)
class Quadratic:
    """H of a layer as B B^T + delta I.

    Attributes:
        factor: B, (inputs, k), float64.
        shift: delta, above 0.
    """

    factor: Float[Tensor, "inputs k"]
    shift: float

    def dense(self) -> Float[Tensor, "inputs inputs"]:
        """Returns H."""
        whole = self.factor @ self.factor.T
        whole.diagonal().add_(self.shift)
        return whole

    def size(self, change: Float[Tensor, "outputs inputs"]) -> float:
        """Returns tr(D H D^T): the mean square of what a change D adds to the outputs, if H is a moment."""
        return float((change @ self.factor).square().sum() + self.shift * change.square().sum())


def combine(moments: Sequence[tuple[float, Moment]], ridge: float) -> Quadratic:
    """Returns the sum of weighted moments and a ridge.

    Args:
        moments: weights and moments. A weight may be negative, to take a source out of a sum that holds it. The sum
            has no negative eigenvalues then, except by rounding, and those count as zero.
        ridge: what to add to the diagonal.
    """
    wide = torch.cat([moment.vectors.double() for _, moment in moments], dim=1)
    scale = torch.cat([weight * (moment.values.double() - moment.rest).clamp(min=0) for weight, moment in moments])
    basis, triangle = torch.linalg.qr(wide)
    values, turn = torch.linalg.eigh(triangle * scale @ triangle.T)
    shift = max(0.0, sum(weight * moment.rest for weight, moment in moments)) + ridge
    matters = values > NEGLIGIBLE * shift
    return Quadratic(basis @ turn[:, matters] * values[matters].sqrt(), shift)


def solve_rows(
    quadratic: Quadratic,
    response: Float[Tensor, "outputs inputs"],
    indices: Int[Tensor, " selected"],
    name: str,
) -> Float[Tensor, " selected"]:
    """Returns D at the selected connections of a layer, in their order, float64 (formula 12).

    Args:
        quadratic: H.
        response: R, float64.
        indices: flat indices of the selected connections, ascending.
        name: name of the layer, for the error.

    Raises:
        ValueError: if D is not finite.
    """
    outputs, inputs = response.shape
    rows, columns = indices.long() // inputs, indices.long() % inputs
    counts = torch.bincount(rows, minlength=outputs)
    if bool((counts == inputs).all()):
        solved = solve_whole(quadratic, response).flatten()
    else:
        solved = _solve_sparse(quadratic, response, rows, columns, counts)
    if not solved.isfinite().all():
        raise DataError(
            f"The new values of layer {name} cannot be solved: they are not finite. Find the mask again with a larger "
            "ridge (--ridge), or take edit='zero' (--edit zero)."
        )
    return solved


def solve_whole(quadratic: Quadratic, response: Float[Tensor, "outputs inputs"]) -> Float[Tensor, "outputs inputs"]:
    """Returns R inv(H): D if every connection of the layer is selected."""
    factor = quadratic.factor
    inner = factor.T @ factor
    inner.diagonal().add_(quadratic.shift)
    coefficients: Tensor = torch.linalg.solve(inner, (response @ factor).T).T
    return (response - coefficients @ factor.T) / quadratic.shift


def _solve_sparse(quadratic: Quadratic, response: Tensor, rows: Tensor, columns: Tensor, counts: Tensor) -> Tensor:
    """Solves rows of similar lengths together, each padded to the longest of its batch."""
    factor, shift = quadratic.factor, quadratic.shift
    starts = counts.cumsum(0) - counts
    order = counts.argsort()
    order = order[counts[order] > 0]
    solved = torch.empty(len(columns), dtype=response.dtype, device=response.device)
    wanted = response[rows, columns]
    whole = quadratic.dense() if int(counts.max()) <= factor.shape[1] else None
    start = 0
    while start < len(order):
        longest = int(counts[order[start]])
        size = 1
        while start + size < len(order):  # grow the batch while it fits, and its rows are not padded too much
            longer = int(counts[order[start + size]])
            if (
                longer > 1.25 * int(counts[order[start]]) + 8
                or (size + 1) * longer * max(longer if whole is not None else factor.shape[1], 1) > NUMBERS_AT_ONCE
            ):
                break
            longest, size = longer, size + 1
        batch = order[start : start + size]
        place = torch.arange(longest, device=rows.device)
        there = place < counts[batch, None]
        at = (starts[batch, None] + place).clamp(max=len(columns) - 1)
        chosen = torch.where(there, columns[at], 0)
        right = torch.where(there, wanted[at], 0.0)
        if whole is not None:
            square = whole[chosen[:, :, None], chosen[:, None, :]] * (there[:, :, None] & there[:, None, :])
            square.diagonal(dim1=1, dim2=2).add_((~there).double())
            result = torch.linalg.solve(square, right)
        else:
            own = factor[chosen] * there[:, :, None]
            inner = own.mT @ own
            inner.diagonal(dim1=1, dim2=2).add_(shift)
            coefficients = torch.linalg.solve(inner, (own.mT @ right[:, :, None])[:, :, 0])
            result = (right - (own @ coefficients[:, :, None])[:, :, 0]) / shift
        solved[at[there]] = result[there]
        start += size
    return solved


def response_of(answers: Sequence[tuple[float, Response]]) -> Float[Tensor, "outputs inputs"]:
    """Returns the weighted sum of responses, float64."""
    left = torch.cat(
        [weight * response.values.double() * response.left.double() for weight, response in answers], dim=1
    )
    return left @ torch.cat([response.right.double() for _, response in answers], dim=1).T
