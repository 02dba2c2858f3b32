"""The predictors: filters, mixed by a mask that depends on a code, which an encoder that sees the future may choose.

Derived in derivations/24_predictor.md.
"""

from typing import Any, NamedTuple, Optional

import numpy as np

from ..backend import Array
from ..initialisers import Initialiser
from ..losses import Loss
from ..network import Network
from ..parameters import Layout
from .codes import GumbelSoftmax, divergence, divergence_backward


class Parts(NamedTuple):
    """The parts of a loss: the error of the predicted frames, and what `codes.divergence` gives."""

    reconstruction: float
    kl: float
    marginal_kl: float


class Predictor:
    """Predicts the next frame: filtered images of the one before, mixed by a mask that depends on a code.

    filters: frames (D features) to F D, the filters' images with the filter last.
    mask: C codes to F.
    encoder: a frame and the next, two channels, 2 D features, to C logits; None for a predictor that is told nothing
    and has one code.
    criterion: of the predicted frame.
    weight: of the codes' divergence from uniform ones, and balance: of that of their mean, both at least 0.
    Raises ValueError for parts that do not fit each other.
    """

    def __init__(self, filters: Network, mask: Network, encoder: Optional[Network], criterion: Loss,
                 weight: float = 0.0, balance: float = 0.0):
        self.filters = filters
        self.mask = mask
        self.encoder = encoder
        self.criterion = criterion
        self.codes = mask.D
        self.weight = float(weight)
        self.balance = float(balance)
        if filters.M != mask.M * filters.D:
            raise ValueError(f"{mask.M} filters on {filters.D} pixels make {mask.M * filters.D} features, not "
                             f"{filters.M}")
        if encoder is None and self.codes != 1:
            raise ValueError(f"without an encoder there is one code, got {self.codes}")
        if encoder is not None and (encoder.D, encoder.M) != (2 * filters.D, self.codes):
            raise ValueError(f"the encoder must take two frames, {2 * filters.D} features, and give {self.codes} "
                             f"logits; it takes {encoder.D} and gives {encoder.M}")
        if self.codes > mask.M:
            raise ValueError(f"{mask.M} filters cannot serve {self.codes} codes")
        self.parts = {"filters": filters, "mask": mask, **({"encoder": encoder} if encoder else {})}
        self.layout = Layout({f"{part}.{name}": shape for part, network in self.parts.items()
                              for name, shape in network.layout.shapes.items()})

    def initialise(self, rng: np.random.Generator, initialiser: Initialiser, dtype: Any = np.float32) -> Array:
        """Return theta (P,), every part's weights drawn by `initialiser`."""
        return np.concatenate([network.initialise(rng, initialiser, dtype) for network in self.parts.values()])

    def split(self, theta: Array) -> list[Array]:
        """The parameters of each part, views of theta (P,)."""
        ends = np.cumsum([network.layout.size for network in self.parts.values()])
        return np.split(theta, ends[:-1])

    def predict(self, theta: Array, x: Array, code: Array) -> Array:
        """frames x (N, D) and codes (N, C) -> the next frames (N, D)."""
        of_filters, of_mask = self.split(theta)[:2]
        z, _ = self.filters.forward(of_filters, x)
        mask, _ = self.mask.forward(of_mask, code)
        return mixed(z, mask)

    def logits(self, theta: Array, x: Array, following: Array) -> Array:
        """The encoder's logits for frames x and those that follow, (N, D) each -> (N, C)."""
        assert self.encoder is not None
        return self.encoder.forward(self.split(theta)[2], side_by_side(x, following))[0]

    def gradient(self, theta: Array, x: Array, following: Array, noise: Array, sampler: GumbelSoftmax
                 ) -> tuple[Array, Parts, Array]:
        """Return the loss, its parts, and dtheta (P,), of frames x and those that followed, (N, D) each.

        noise: (N, C), Gumbel's. sampler: turns logits and noise into codes. Neither plays a part without an encoder.
        """
        dtheta = np.empty_like(theta)
        of_filters, of_mask, *of_encoder = self.split(theta)
        d_filters, d_mask, *d_encoder = self.split(dtheta)
        code = np.ones((len(x), 1), theta.dtype)
        kl = 0.0
        marginal_kl = 0.0
        if self.encoder is not None:
            logits, seen = self.encoder.forward(of_encoder[0], side_by_side(x, following))
            code, sample = sampler.forward(logits, noise)
            (kl, marginal_kl), kl_cache = divergence(logits)
        mask, chosen = self.mask.forward(of_mask, code)
        z, filtered = self.filters.forward(of_filters, x)
        reconstruction, cache = self.criterion.forward(mixed(z, mask), following)
        loss = reconstruction + self.weight * kl + self.balance * marginal_kl  # (predictor.2)

        dy = self.criterion.backward(cache, np.ones((), theta.dtype))
        self.filters.backward(filtered, mixed_back_images(dy, mask), d_filters)
        dcode, _ = self.mask.backward(chosen, mixed_back_mask(dy, z), d_mask, to_x=self.encoder is not None)
        if self.encoder is not None:
            assert dcode is not None
            dlogits = sampler.backward(sample, dcode)
            dlogits = dlogits + divergence_backward(kl_cache, self.weight, self.balance)  # (predictor.6)
            self.encoder.backward(seen, dlogits, d_encoder[0])
        return loss, Parts(reconstruction, kl, marginal_kl), dtheta


def side_by_side(x: Array, following: Array) -> Array:
    """Frames and those that follow, (N, D) each, as one image of two channels, (N, 2 D): the channel last."""
    return np.stack([x, following], axis=-1).reshape(len(x), -1)


def mixed(z: Array, mask: Array) -> Array:
    """Filtered images z (N, D F), the filter last, and mask (N, F) -> (N, D), each image by its share."""
    images = z.reshape(len(z), -1, mask.shape[-1])
    return (images @ mask[..., None])[..., 0]  # (predictor.3)


def mixed_back_images(dy: Array, mask: Array) -> Array:
    """dy (N, D) -> dz (N, D F)."""
    return (dy[..., None] * mask[:, None]).reshape(len(dy), -1)  # (predictor.4)


def mixed_back_mask(dy: Array, z: Array) -> Array:
    """dy (N, D) -> dmask (N, F)."""
    return (dy[:, None] @ z.reshape(*dy.shape, -1))[:, 0]  # (predictor.5)
