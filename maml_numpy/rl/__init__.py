"""Policy gradients: a network learns to play games. Stands on network, layers and optim, not on inner."""
