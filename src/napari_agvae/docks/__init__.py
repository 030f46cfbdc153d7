"""The docks: widgets, what they show in the viewer, and the long work that they begin."""
