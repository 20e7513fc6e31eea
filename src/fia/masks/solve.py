"""Solves for the values that a mask writes: D of formulas (10) to (12) in section 9 of docs/method.md, for one layer.

H is a sum of low-rank moments. So we write it as B B^T + delta I, with as few columns in B as there are directions that
matter, and solve a row with the selected columns S by the identity of Woodbury:

    inv(H[S, S]) = (I - B_S inv(delta I + B_S^T B_S) B_S^T) / delta

If no row of a layer has more selected columns than B has columns, we solve with H[S, S] itself. If a layer's rows are
whole, one factorisation serves all of them. And if that is less work, we solve all rows together by conjugate gradients
(`conjugate_gradients.py`), and one by one only those that these do not solve. Whether they solve a layer shows in its
first rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from ..errors import DataError
from .conjugate_gradients import Rows
from .low_rank import Moment, Response

NUMBERS_AT_ONCE = 2**24  # numbers of a batch of rows
NUMBERS_TOGETHER = 2**20  # the same for conjugate gradients; larger matrices are slower, because they leave the cache
USUAL_ITERATIONS = 20  # of conjugate gradients, over all rounds
TRIAL = 8  # rows that conjugate gradients must solve before they get the others
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
    factor, inputs = quadratic.factor, response.shape[1]
    starts = counts.cumsum(0) - counts
    is_direct = int(counts.max()) <= factor.shape[1]
    solved = response.new_full((len(columns),), torch.nan)
    if _together_is_less(factor.shape[1], inputs, counts, is_direct=is_direct):
        _solve_together(quadratic, response, rows, columns, counts, solved)
    order = counts.argsort()
    order = order[torch.isin(order, rows[solved.isnan()])]
    if not len(order):
        return solved
    # what to gather from: H itself or B, with zeros at the end for padding
    source = F.pad(quadratic.dense(), (0, 1, 0, 1)) if is_direct else F.pad(factor, (0, 0, 0, 1)).float()
    for batch in _batches(order.tolist(), counts.tolist(), inputs if is_direct else factor.shape[1]):
        place = torch.arange(int(counts[batch].max()), device=rows.device)
        there = place < counts[batch, None]
        at = (starts[batch, None] + place).clamp(max=len(columns) - 1)
        chosen = torch.where(there, columns[at], inputs)
        right = F.pad(response[batch], (0, 1))
        if not is_direct:
            result = _solve_batch(quadratic, source[chosen], right, chosen)
        else:
            square = source[chosen[:, :, None], chosen[:, None, :]]
            square.diagonal(dim1=1, dim2=2).add_((~there).double())
            result = _solve_positive(square, right.gather(1, chosen))
        solved[at[there]] = result[there]
    return solved


def _together_is_less(k: int, inputs: int, counts: Tensor, *, is_direct: bool) -> bool:
    """Says whether it is less work to solve all rows together than one by one.

    It is a rule of thumb. It counts the operations of the products, and three times those of direct factorisations,
    which are small and run far slower.
    """
    selected = counts.double()
    one_by_one = selected**3 if is_direct else 2 * selected * k**2
    return float(one_by_one.sum()) > len(counts) * USUAL_ITERATIONS * 4 * inputs * k


def _solve_together(
    quadratic: Quadratic, response: Tensor, rows: Tensor, columns: Tensor, counts: Tensor, solved: Tensor
) -> None:
    """Puts D of the rows that conjugate gradients solve into `solved`, of none if they do not solve the first ones."""
    outputs, inputs = response.shape
    together = Rows.sharing(quadratic.factor, quadratic.shift, torch.bincount(columns, minlength=inputs) / outputs)
    if together is None:
        return
    starts = [0, *counts.cumsum(0).tolist()]
    edges = [0, *range(min(TRIAL, outputs), outputs, max(1, NUMBERS_TOGETHER // inputs)), outputs]
    for first, last in pairwise(edges):
        own = slice(starts[first], starts[last])
        at = rows[own] - first, columns[own]
        selected = torch.zeros_like(response[first:last], dtype=torch.float32)
        selected[at] = 1
        solved[own] = together.solve(response[first:last], selected)[at]
        if not first and solved[own].isnan().any():
            return


def _solve_batch(quadratic: Quadratic, own: Tensor, right: Tensor, chosen: Tensor) -> Tensor:
    """Solves rows by the identity of Woodbury, in float32 and with one refinement in float64.

    Args:
        quadratic: H.
        own: B_S of each row, (rows, selected, k), float32; zero where it is padded.
        right: R of each row with a column for padding at the end, (rows, inputs + 1), float64.
        chosen: S of each row, (rows, selected); the last column of `right` where it is padded.
    """
    factor, shift = quadratic.factor, quadratic.shift
    inner = own.mT @ own
    inner.diagonal(dim1=1, dim2=2).add_(shift)
    factors, failed = torch.linalg.cholesky_ex(inner)

    def rough(missing: Tensor) -> Tensor:
        seen = (missing.float()[:, None] @ own)[:, 0, :, None]
        return (missing - (own @ torch.cholesky_solve(seen, factors))[:, :, 0].double()) / shift

    wanted = right.gather(1, chosen)
    solved = rough(wanted)
    spread = torch.zeros_like(right).scatter_(1, chosen, solved)[:, :-1]
    back = F.pad((spread @ factor) @ factor.T, (0, 1)).gather(1, chosen)
    solved = solved + rough(wanted - shift * solved - back)
    return torch.where(failed[:, None] == 0, solved, torch.nan)


def _batches(rows: Sequence[int], counts: Sequence[int], width: int) -> Iterator[list[int]]:
    """Yields rows, which come in the order of their counts, in batches with little padding that fit the memory."""
    batch: list[int] = []
    for row in rows:
        longest = counts[row]
        is_full = (len(batch) + 1) * longest * max(longest, width) > NUMBERS_AT_ONCE
        if batch and (is_full or longest > 1.25 * counts[batch[0]] + 8):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _solve_positive(matrices: Float[Tensor, "rows k k"], right: Float[Tensor, "rows k"]) -> Float[Tensor, "rows k"]:
    """Solves with symmetric positive definite matrices. What cannot be solved is not a number in the result."""
    factors, failed = torch.linalg.cholesky_ex(matrices)
    solved = torch.cholesky_solve(right[:, :, None], factors)[:, :, 0]
    return torch.where(failed[:, None] == 0, solved, torch.nan)


def response_of(answers: Sequence[tuple[float, Response]]) -> Float[Tensor, "outputs inputs"]:
    """Returns the weighted sum of responses, float64."""
    left = torch.cat(
        [weight * response.values.double() * response.left.double() for weight, response in answers], dim=1
    )
    return left @ torch.cat([response.right.double() for _, response in answers], dim=1).T
