"""The paper's experiments as commands: small controlled runs, the figures and tables made from them."""
