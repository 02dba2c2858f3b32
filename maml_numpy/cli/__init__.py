"""The commands: `maml-numpy train`, `maml-numpy gradcheck`; scripts/ has a door to each."""
