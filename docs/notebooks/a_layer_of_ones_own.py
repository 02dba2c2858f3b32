# %% [markdown]
# # A layer of one's own
#
# MAML differentiates through gradient descent, so every layer needs second derivatives. Here they are written by hand.
# That is less work than it sounds, and a checker finds the mistakes.
#
# Our layer is **softplus**, y = log(1 + eˣ): a rounded ReLU.

# %%
import matplotlib.pyplot as plt
import maml_numpy as mn
import numpy as np

# %% [markdown]
# ## The maps
#
# A layer is a subclass of `mn.Layer` with up to six maps. Softplus has no parameters, so four of them are enough:
#
# - `forward` gives y, and a *cache*: what the other maps need. Here it is the slope, s = 1 / (1 + e⁻ˣ).
# - `backward` carries a gradient `dy` of the outputs back to the inputs: s · dy.
# - `tangent` says how y moves when x moves by `dx_bar`. It is the same slope, in the other direction.
# - `curvature` is the derivative of `backward` in x. The slope of s is s (1 - s), so it is s (1 - s) · dy · dx_bar.
#
# The other two maps, `gradient` and `gradient_curvature`, are for layers with parameters. `forward` has two formulas:
# the first does not overflow; the second also takes complex numbers, which the checker puts in.

# %%


class Softplus(mn.Layer):
    """y = log(1 + exp x)."""

    def forward(self, params, x):
        slope = 1 / (1 + np.exp(-x))
        return np.logaddexp(0, x) if np.isrealobj(x) else np.log(1 + np.exp(x)), slope

    def backward(self, params, slope, dy):
        return slope * dy

    def tangent(self, params, slope, dx_bar, dparams_bar):
        return slope * dx_bar

    def curvature(self, params, slope, dy, dx_bar, dparams_bar):
        return slope * (1 - slope) * dy * dx_bar


# %% [markdown]
# ## The check
#
# `mn.check_layer` compares each map with two independent estimates of the derivative: a difference of two nearby
# values, and the *complex step*, which is right to the last digits. Then it checks what else a layer promises: that
# maps are linear where they should be, work in single precision, and change nothing that they are handed.

# %%
rows = mn.check_layer(Softplus(), D=4)
for row in rows[:6]:
    print(f"{row.tensor:8} {row.method:14} error {row.error:.0e}, at most {row.tolerance:.0e}")
print("... in all", len(rows), "rows, passed:", all(row.passed for row in rows))

# %% [markdown]
# ## A planted bug
#
# A wrong sign in the curvature. The network still gives the right outputs and the right gradients: ordinary training
# works, and no test of it notices. Only a meta-gradient would be wrong, by a little.


# %%
class WrongSign(Softplus):
    """Softplus with a mistake."""

    def curvature(self, params, slope, dy, dx_bar, dparams_bar):
        return slope * (slope - 1) * dy * dx_bar


try:
    mn.check_layer(WrongSign(), D=4)
except AssertionError as error:
    print(error)

# %% [markdown]
# The checker names the map by what it computes, `x_bar`, and it sees that the value is right but for its sign. Another
# bug, in another map: somebody forgot the slope.


# %%
class NoSlope(Softplus):
    """Softplus with another mistake."""

    def tangent(self, params, slope, dx_bar, dparams_bar):
        return dx_bar


try:
    mn.check_layer(NoSlope(), D=4)
except AssertionError as error:
    print(error)

# %% [markdown]
# ## Draw the maps

# %%
x = np.linspace(-5, 5, 200)
layer, one = Softplus(), np.ones_like(x)
value, cache = layer.forward({}, x)
plt.figure(figsize=(7, 4), layout="constrained")
plt.plot(x, value, color="#0072B2", label="forward: y")
plt.plot(x, layer.backward({}, cache, one), "--", color="#D55E00", label="backward: the slope")
plt.plot(x, layer.curvature({}, cache, one, one, None), "-.", color="#009E73", label="curvature: the slope's slope")
plt.plot(x, WrongSign().curvature({}, cache, one, one, None), ":", color="#000000", label="the planted bug")
plt.xlabel("x")
plt.title("Softplus, its two derivatives, and a mistake")
plt.legend()
plt.show()

# %% [markdown]
# ## Use it
#
# The layer now works wherever ReLU does. `mn.check_algorithm` checks the meta-gradient of MAML through it.

# %%
objective = mn.Supervised(mn.mlp([1, 5, 1], Softplus), mn.MSE())
rows = mn.check_algorithm(mn.MAML(objective, alpha=0.1))
print("MAML with softplus:", len(rows), "rows, passed:", all(row.passed for row in rows))

# %% [markdown]
# ## Exercises
#
# 1. Write the layer y = x², with its four maps, and check it. What does its cache have to hold?
# 2. Leave `curvature` out of `Softplus` and run the check. Why does the same omission not matter for ReLU?
