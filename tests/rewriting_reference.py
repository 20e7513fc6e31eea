"""Formulas 9 to 14 of docs/method.md, solved directly in float64. Tests compare the library with them."""

import numpy as np


def moment(inputs):
    """Returns mean x x^T over tokens (tokens, inputs)."""
    x = np.asarray(inputs, dtype=np.float64)
    return sum(np.outer(token, token) for token in x) / len(x)


def response(base_outputs, concept_outputs, concept_inputs):
    """Returns mean (y_b - y_c) x_c^T over paired tokens (formula 11)."""
    triples = zip(
        *(np.asarray(a, dtype=np.float64) for a in (base_outputs, concept_outputs, concept_inputs)), strict=True
    )
    products = [np.outer(y_b - y_c, x_c) for y_b, y_c, x_c in triples]
    return sum(products) / len(products)


def solve(moments, responses, retained, selected, retain_weight, ridge):
    """Returns D of formulas 10 to 12, row by row.

    Args:
        moments: A_c of each concept.
        responses: s_c R_c of each concept.
        retained: A_r.
        selected: marks the connections that may change.
        retain_weight: mu.
        ridge: lambda.
    """
    of_concepts = sum(moments) / len(moments)
    h = of_concepts + retain_weight * retained + ridge * np.mean(np.diag(of_concepts)) * np.eye(len(of_concepts))
    r = sum(responses) / len(responses)
    d = np.zeros_like(r)
    for i, row in enumerate(selected):
        (s,) = np.nonzero(row)
        if len(s):
            d[i, s] = np.linalg.solve(h[np.ix_(s, s)], r[i, s])
    return d
