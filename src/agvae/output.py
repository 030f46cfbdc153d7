"""Another name of `agvae.whole_file`, until all call it by its own."""

from agvae.whole_file import write_whole as write_whole
