"""The way of images: frames -> assemble -> tiles -> engine, and back; beside it the model, the memory and the rate.

`frames` gives arrays and Pillow images as colour and alpha, `assemble` puts them together with the file, `tiles` cuts
them into independent tiles with halos, and `engine` codes a batch of those.
"""
