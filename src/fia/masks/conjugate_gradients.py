"""Solves many rows of formula (12) together, each with its own selected columns S, by conjugate gradients.

With H = B B^T + delta I, the identity of Woodbury asks for the z of each row that solves

    (delta I + B_S^T B_S) z = B_S^T r_S;    then D_S = (r_S - B_S z) / delta

For all rows at once, a product with this matrix is two products with B and a mask of zeros and ones in between. So it
costs the same however many columns are selected. Conjugate gradients (Hestenes and Stiefel, 1952) need few of them,
because L L^T = delta I + B^T diag(f) B is close to the matrix of every row, where f_j is the share of the rows that
select column j: with B L^-T in place of B, all of these matrices are close to I. They run in float32, and again for
what is still missing, which is computed in float64. Where the largest eigenvalue of H is many thousand times delta, the
error of z weighs as much more in D, and many rows stay unsolved.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

ITERATIONS = 20  # at most, in one round
ROUNDS = 3  # at most
ENOUGH = 1e-5  # a round ends when this share of what it began with is left
PROGRESS = 0.1  # there is no further round if one leaves more than this share of what it began with
SOLVED = 1e-7  # a row is solved when this share of its right side is left
TINY = torch.finfo(torch.float32).tiny


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows to solve together.

    Attributes:
        factor: B, float64.
        shift: delta, above 0.
        near: B L^-T, float32.
        rest: delta L^-1 L^-T, float32.
    """

    factor: Float[Tensor, "inputs k"]
    shift: float
    near: Float[Tensor, "inputs k"]
    rest: Float[Tensor, "k k"]

    @classmethod
    def sharing(
        cls, factor: Float[Tensor, "inputs k"], shift: float, shares: Float[Tensor, " inputs"]
    ) -> "Rows | None":
        """Returns rows of which `shares` (f) select each column. None if there is no L, because of rounding."""
        shared = (factor * shares[:, None]).T @ factor
        shared.diagonal().add_(shift)
        lower, failed = torch.linalg.cholesky_ex(shared)
        if failed:
            return None
        inverse = torch.linalg.solve_triangular(
            lower, torch.eye(len(lower), dtype=lower.dtype, device=lower.device), upper=False
        )
        return cls(factor, shift, (factor @ inverse.T).float(), (shift * inverse @ inverse.T).float())

    def solve(
        self, response: Float[Tensor, "rows inputs"], selected: Float[Tensor, "rows inputs"]
    ) -> Float[Tensor, "rows inputs"]:
        """Returns D, float64 and zero outside the selected columns. A row that is not solved is not a number.

        Args:
            response: R, float64.
            selected: 1 at the selected columns, else 0; float32.
        """
        missing = response * selected
        left, solved = missing.norm(dim=1), torch.zeros_like(missing)
        enough = SOLVED * left
        for _ in range(ROUNDS):
            rough = missing.float()
            seen = self._conjugate_gradients(rough @ self.near, selected)
            solved += (rough - (seen @ self.near.T).mul_(selected)).double() / self.shift
            missing = (response - self.shift * solved - (solved @ self.factor) @ self.factor.T).mul_(selected)
            before, left = left, missing.norm(dim=1)
            if not (left > enough).any() or (left > PROGRESS * before).any():
                break
        return torch.where((left <= enough)[:, None], solved, torch.nan)

    def _conjugate_gradients(
        self, right: Float[Tensor, "rows k"], selected: Float[Tensor, "rows inputs"]
    ) -> Float[Tensor, "rows k"]:
        """Returns L^T z of each row, about."""
        found, missing, direction = torch.zeros_like(right), right.clone(), right.clone()
        squares = missing.square().sum(1, keepdim=True)
        enough = ENOUGH**2 * squares
        for _ in range(ITERATIONS):
            product = direction @ self.rest + (direction @ self.near.T).mul_(selected) @ self.near
            step = squares / (direction * product).sum(1, keepdim=True).clamp(min=TINY)
            found += step * direction
            missing -= step * product
            before, squares = squares, missing.square().sum(1, keepdim=True)
            if bool((squares <= enough).all()):
                break
            direction = missing + squares / before.clamp(min=TINY) * direction
        return found
