"""What a mask keeps of the activations of a layer: small matrices in place of large ones (section 9 of docs/method.md).

A moment is mean x x^T over the inputs x of a layer, by its leading eigenvectors, with one number for all others. A
response is R = mean (y_b - y_c) x_c^T: what the outputs would have to gain, for each input, to be those without the
concept. It is kept by its leading singular vectors.
"""

from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Moment:
    """mean x x^T ~ V diag(e - d) V^T + d I (formula 13).

    Attributes:
        vectors: V, (inputs, k), with orthonormal columns, float16.
        values: e, (k,), descending, float32.
        rest: d >= 0, the mean of all other eigenvalues.
    """

    vectors: Float[Tensor, "inputs k"]
    values: Float[Tensor, " k"]
    rest: float

    @property
    def mean_square(self) -> float:
        """Mean square of an input: the mean of the matrix's diagonal."""
        inputs, k = self.vectors.shape
        return (float(self.values.double().sum()) + self.rest * (inputs - k)) / inputs

    def dense(self) -> Float[Tensor, "inputs inputs"]:
        """Returns the whole matrix, float64."""
        vectors = self.vectors.double()
        whole = (vectors * (self.values.double() - self.rest)) @ vectors.T
        whole.diagonal().add_(self.rest)
        return whole


@dataclass(frozen=True, eq=False)
class Response:
    """R = mean (y_b - y_c) x_c^T ~ U diag(s) V^T (formula 14).

    Attributes:
        left: U, (outputs, r), with orthonormal columns, float16.
        values: s, (r,), descending, float32.
        right: V, (inputs, r), with orthonormal columns, float16.
    """

    left: Float[Tensor, "outputs r"]
    values: Float[Tensor, " r"]
    right: Float[Tensor, "inputs r"]

    def times(self, scale: float) -> "Response":
        """Returns the response times a number above 0."""
        return replace(self, values=self.values * scale)

    def dense(self) -> Float[Tensor, "outputs inputs"]:
        """Returns the whole matrix, float64."""
        return (self.left.double() * self.values.double()) @ self.right.double().T
