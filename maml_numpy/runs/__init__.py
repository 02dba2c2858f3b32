"""Trainings in folders: checkpoints, a metrics log, exact resume; several processes at once."""

from .folder import CHECKPOINT, CONFIG, LOCK, METRICS, MetaTrainer, Trainer, read_metrics, train_in

__all__ = ["CHECKPOINT", "CONFIG", "LOCK", "METRICS", "MetaTrainer", "Trainer", "read_metrics", "train_in"]
