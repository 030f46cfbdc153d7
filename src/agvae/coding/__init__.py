"""The way of images: frames -> assemble -> choice -> tiles -> engine, and back; beside it model, memory and rate.

`frames` gives arrays and Pillow images as colour and alpha, `assemble` puts them together with the file, `choice` says
what a model codes of them and what is kept without loss, `tiles` cuts them into independent tiles with halos, and
`engine` codes a batch of those.  `extract` is the way back.
"""
