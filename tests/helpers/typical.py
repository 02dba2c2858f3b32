"""Fifty mistakes that people make in these statements, each with the words by which a judge names it.

(module, label, wrong answer, words one of which the verdict must have)
"""

MINUS, TRANSPOSED = "the sign is wrong", "it is transposed"


def factor(number):
    """The words for a value that is so many times too large."""
    return f"right except for a factor {number:.4g}"


TYPICAL = [
    # a factor
    ("losses", "losses.2", "return _weight(cache.r) * dloss[..., None, None] * cache.r", "without the factor 2"),
    ("losses", "losses.3", "return 4 * (_weight(cache.r) * dloss)[..., None, None] * dy_bar", factor(2)),
    ("activations", "activations.9", "return -cache.y * cache.slope * dy * dx_bar", factor(.5)),
    ("softmax", "softmax.4", "return softmax_jvp(cache.y, dy)", "without the factor 1 / self.tau"),
    ("softmax", "softmax.7", "return softmax_jvp(y, y_bar) / self.tau", "without the power 2"),
    ("heads", "heads.5", "Z_bar = y_bar @ c - y_bar.sum(axis=-1, keepdims=True) * Z", "without the factor 2"),
    ("maml", "maml.1", "dloss = array_module(theta).full(T, weight, theta.real.dtype)", "without dividing by T"),
    ("ttt", "ttt.5", "u = s * e", "without the factor 2"),
    ("attention", "attention.3", "read = 0.5 * asked.swapaxes(-1, -2) @ y_bar", factor(.5)),
    # a sign
    ("dense", "dense.2", "return -times_transposed(dy, self._W(params['Wb']))", MINUS),
    ("dense", "dense.7", "outer(-dx_bar, dy, out=self._W(Wb_bar))", MINUS),
    ("activations", "activations.9", "return 2 * cache.y * cache.slope * dx_bar * dy", MINUS),
    ("inner", "inner.1", "theta_next = theta + alpha * dtheta", "with the sign of alpha * dtheta turned"),
    ("inner", "inner.2", "dtheta_bar = theta_bar * alpha", "with the sign of alpha turned"),
    ("rates", "rates.2", "return None if isinstance(rate, float) else (theta_bar * dtheta).sum(axis=0)", MINUS),
    ("normalisation", "normalisation.12", "x_bar *= cache.inverse * cache.inverse", MINUS),
    ("optim", "optim.4", "return theta + scale * m / root, AdamState(m, v, t)", MINUS),
    ("attention", "attention.6", "bars['v'][...] = -(tokens.swapaxes(-1, -2) @ told).sum(axis=0)", MINUS),
    # a transpose
    ("dense", "dense.2", "return times(dy, self._W(params['Wb']))", "transposed"),
    ("ttt", "ttt.3", "x_bar = x_bar + bar @ params[name]", "transpose"),
    ("ttt", "ttt.12", "q_bar = z_bar @ base + A_bar @ k", "without the transpose of base"),
    ("ttt", "ttt.14", "u_bar = -(A @ z_bar + k @ into)", "without the transpose of A"),
    ("attention", "attention.2", "y = (asked @ views['A']) @ summed", "without the transpose of views['A']"),
    ("heads", "heads.2", "c = share @ X", "without the transpose of share"),
    # a mean for a sum, or the other way
    ("losses", "losses.1", "return (r * r).mean(axis=(-2, -1)) * _weight(r), MSECache(r)", "with a mean for the sum"),
    ("inner", "inner.4", "carried = theta_bar.mean(axis=0) if shared and not sum_last else theta_bar",
     "with a mean for the sum"),
    ("classification", "classification.2", "losses = -(true * log_p).sum(axis=(-2, -1))",
     "without dividing by y.shape[-2]"),
    ("classification", "classification.3", "return dloss[..., None, None] * cache.r", factor(3)),
    ("reptile", "reptile.1", "return MetaGradient(self.objective.loss(theta_K, query), theta - theta_K.sum(axis=0))",
     "with a sum for the mean"),
    ("heads", "heads.1", "share = Y", "without dividing by Y.sum(axis=-2, keepdims=True)"),
    ("rates", "rates.2", "return None if isinstance(rate, float) else -(theta_bar * dtheta).mean(axis=0)", factor(.5)),
    ("stream", "stream.1", "losses = losses + measured", "without dividing by K"),
    # a bias, or another row, forgotten
    ("dense", "dense.3",
     "outer(cache.x1[..., :-1], dy, out=self._W(dparams['Wb'])); dparams['Wb'][..., -1, :] = 0", "db (zero"),
    ("dense", "dense.8", "Wb_bar[..., -1, :] = 1", "b_bar (declared zero"),
    ("normalisation", "normalisation.4", "y = y", "without the term self._param(params['shift'])"),
    # a term forgotten
    ("dense", "dense.5", "return of_x", "of_x alone"),
    ("dense", "dense.5", "return of_params", "of_params alone"),
    ("softmax", "softmax.2", "return y * v", "without the term (y * v).sum(axis=-1, keepdims=True)"),
    ("softmax", "softmax.6", "y_bar = dx_bar * dy - along * dy", "without the term across * dx_bar"),
    ("normalisation", "normalisation.1", "x_hat = v", "without the term self._mean(v)"),
    ("normalisation", "normalisation.11", "c = self._mean(u * v) - u_mean * v_mean",
     "without the term 3 * u_hat * v_hat"),
    ("inner", "inner.3", "pass", "without the term carried"),
    ("network", "network.5", "v = None if v is None else layer.backward(params, cache, v)", "alone for all of plus("),
    ("heads", "heads.15", "X_bar = S @ _transposed(W_bar - _transposed(X) @ B)", "without the term B @ _transposed(W)"),
    ("ttt", "ttt.33", "W2_bar = before[1] + _transposed(h) @ e_bar", "without the term _transposed(p_bar) @ g2"),
    # a mask
    ("activations", "activations.2", "return 1.0 * dy", "which should be zero"),
    ("activations", "activations.3", "return dx_bar - cache.mask * dx_bar", "the opposite of the mask cache.mask"),
    # a wrong axis, or a wrong thing
    ("softmax", "softmax.2", "return y * (v - (y * v).sum(axis=-2, keepdims=True))", "along axis -2 for -1"),
    ("activations", "activations.8", "return dx_bar * cache.slope ** 2", "with the factor cache.slope twice"),
    ("activations", "activations.7", "return cache.y * dy", "cache.y"),
]
