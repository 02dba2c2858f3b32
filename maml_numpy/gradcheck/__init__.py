"""Checks derivatives: a layer, loss, objective, algorithm or estimator in one call. See derivations/10_gradcheck.md.

`catalogue.rows` checks everything in the package, `devices.rows` compares another array library with NumPy.
"""

from .check import GradcheckError, check_algorithm, check_layer, check_loss, check_objective
from .estimates import check_estimator
from .judge import (COMPLEX_STEP, COMPLEX_TOLERANCE, DIFFERENCE_TOLERANCE, STEP, Claim, Curve, DirectionClaim, Row,
                    by_piece, complex_slope, difference_slope, fact, fourfold, gradient, judge, rows_of, v_curve,
                    verdict)

__all__ = ["COMPLEX_STEP", "COMPLEX_TOLERANCE", "Claim", "Curve", "DIFFERENCE_TOLERANCE", "DirectionClaim",
           "GradcheckError", "Row", "STEP", "by_piece", "check_algorithm", "check_estimator", "check_layer",
           "check_loss", "check_objective", "complex_slope", "difference_slope", "fact", "fourfold", "gradient",
           "judge", "rows_of", "v_curve", "verdict"]
