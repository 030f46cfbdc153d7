"""The .agv file: bytes, without torch and without NumPy.  `agvae.container` is its public name."""
