"""Files and layers: reading, writing, and what a layer's values and attributes are in a file."""
